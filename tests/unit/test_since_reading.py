"""Which readings of `since` are left after a server has answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from streamer.flatfile.since_reading import READINGS, Comparison, Reading, SinceReading

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

Shows = Callable[[datetime, datetime], bool]
"""Whether a server lists an event of that time under that `since`."""

_CUT = {Comparison.SINCE_CUT, Comparison.BOTH_CUT}


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _events(count: int, *, whole_seconds: int = 0) -> dict[str, datetime]:
    chance = Random(count)  # noqa: S311 - no secret
    events = {
        f"us_evt_{number}": NOW + timedelta(milliseconds=chance.randrange(1, 3_600_000))
        for number in range(count)
    }
    for number in range(whole_seconds):
        events[f"us_evt_whole_{number}"] = NOW + timedelta(minutes=number, seconds=7)
    return events


def _asked(events: dict[str, datetime], shows: Shows) -> tuple[SinceReading, int]:
    """Ask a server until nothing tells more."""
    reading = SinceReading()
    requests = 0
    while (since := reading.next_since(events.values())) is not None:
        requests += 1
        shown = {id_ for id_, at in events.items() if shows(at, since)}
        reading.answered(since, shown, events)
    return reading, requests


@pytest.mark.parametrize("truth", READINGS, ids=str)
def test_every_reading_is_found_in_few_requests(truth: Reading) -> None:
    """What is left is the truth, or what no event could tell from it."""
    events = _events(50, whole_seconds=2)
    reading, requests = _asked(events, lambda at, since: truth.shows(_us(at), _us(since)))
    assert truth in reading.left
    assert {each.comparison in _CUT for each in reading.left} == {truth.comparison in _CUT}
    assert reading.inclusive is truth.inclusive
    assert requests <= 5


def test_a_bound_in_seconds_is_left_open_without_an_event_on_a_whole_second() -> None:
    """That a second is compared shows; whether it is included shows only at its very instant."""
    truth = Reading(Comparison.SINCE_CUT, inclusive=True)
    reading, _ = _asked(_events(50), lambda at, since: truth.shows(_us(at), _us(since)))
    assert reading.comparisons == _CUT
    assert reading.inclusive is None


def test_a_server_that_compares_minutes_fits_nothing() -> None:
    """What no reading describes is not taken for one of them."""

    def by_the_minute(at: datetime, since: datetime) -> bool:
        return at.replace(second=0, microsecond=0) >= since.replace(second=0, microsecond=0)

    reading, _ = _asked(_events(200, whole_seconds=5), by_the_minute)
    assert reading.left == ()


def test_one_event_that_vanished_rules_nothing_out() -> None:
    """An event that is gone from every answer is no evidence, unless it is one of a few."""
    truth = Reading(Comparison.EXACT, inclusive=False)
    events = _events(60, whole_seconds=2)
    gone = sorted(events, key=lambda id_: events[id_])[40]
    reading = SinceReading()
    for since in sorted(events.values())[5:9]:
        shown = {id_ for id_, at in events.items() if at > since and id_ != gone}
        reading.answered(since, shown, events)
    assert truth in reading.left
