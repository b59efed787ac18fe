"""An event that does not say when it was created, in a listing without order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streamer.capture.seen import PURGE_INTERVAL, SEGMENT_EVENTS, Remembered, Seen
from streamer.capture.sieve import Excluded, PendingSieve
from streamer.flatfile.models import Event
from streamer.flatfile.pages import Page

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=1)


def test_event_without_a_time_is_known_although_its_neighbours_were_old() -> None:
    """Beside a row of last week first, beside one of now then: published once."""
    seen = Seen()
    sieve = PendingSieve(seen, Excluded(()))
    row = Event(id="us_evt_1", topic="a:b", created_at="yesterday")
    page = Page([row], [None], NOW, 1)
    found = sieve.sift(page, [NOW - timedelta(days=7)])
    sieve.settle(sieve.traces(found), NOW)
    for moment in (NOW - timedelta(days=1), NOW):  # So many that what is old is let go of.
        seen.add(range(SEGMENT_EVENTS), [moment] * SEGMENT_EVENTS, NOW)
    seen.forget_before(SINCE)
    sieve.seen_from = SINCE
    assert len(found) == 1
    assert sieve.sift(page, [NOW]) == []


def test_deletion_of_an_event_without_a_time_is_published_once() -> None:
    """Beside a row of last week first, beside one of now then: what became of it is known too."""
    sieve = PendingSieve(Seen(), Excluded(()))
    row = Event(id="us_evt_1", topic="a:b", created_at="yesterday", deleted_at="2026-03-01")
    page = Page([row], [None], NOW, 1)
    found = sieve.sift(page, [NOW - timedelta(days=7)])
    sieve.settle(sieve.traces(found), NOW)
    assert len(found) == 1
    assert sieve.sift(page, [NOW]) == []


@pytest.mark.parametrize("deleted_at", [None, "2026-03-01"])
def test_event_without_a_time_is_known_after_a_restart(deleted_at: str | None) -> None:
    """Whatever is let go of before a look has begun: it may have been created at any time."""
    seen = Seen()
    sieve = PendingSieve(seen, Excluded(()))
    seen.restore(Remembered("us_evt_1", None, deleted_at=deleted_at), NOW - timedelta(days=7))
    seen.forget_before(SINCE)
    row = Event(id="us_evt_1", topic="a:b", created_at="yesterday", deleted_at=deleted_at)
    assert sieve.sift(Page([row], [None], NOW, 1), [NOW]) == []


def test_restored_event_without_a_time_is_forgotten_once_no_look_can_show_it() -> None:
    """A look that begins later than `date` says shows nothing that was restored."""
    seen = Seen()
    seen.restore(Remembered("us_evt_1", None), None)
    seen.date(NOW)
    seen.forget_before(NOW)
    assert len(seen) == 1
    seen.forget_before(NOW + 2 * PURGE_INTERVAL)
    assert len(seen) == 0


def test_traces_tell_until_when_an_event_without_a_time_matters() -> None:
    """Its guessed time may be much too early; when it was shown is not."""
    sieve = PendingSieve(Seen(), Excluded(()))
    row = Event(id="us_evt_1", topic="a:b", created_at="yesterday")
    found = sieve.sift(Page([row], [None], NOW, 1), [NOW - timedelta(days=7)])
    assert sieve.traces(found).newest == NOW


def test_deletion_of_an_event_without_a_time_is_known_as_long_as_it_is_shown() -> None:
    """A server that shows it again and again would have it published again and again."""
    seen = Seen()
    sieve = PendingSieve(seen, Excluded(()))
    row = Event(id="us_evt_1", topic="a:b", created_at="yesterday", deleted_at="2026-03-01")
    for minutes in range(10):
        now = NOW + timedelta(minutes=minutes)
        found = sieve.sift(Page([row], [None], now, 1), [now])
        assert len(found) == (not minutes)
        sieve.settle(sieve.traces(found), now)
        sieve.forget_all_but([])
        # So many that what is old is let go of.
        seen.add(range(SEGMENT_EVENTS), [now] * SEGMENT_EVENTS, now)
        seen.forget_before(now - timedelta(seconds=1))
