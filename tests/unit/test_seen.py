"""What has been seen: nothing is forgotten too early, and it stays small."""

from __future__ import annotations

import random
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read
from streamer.audit.record import restore
from streamer.capture.seen import PURGE_INTERVAL, SEGMENT_EVENTS, Remembered, Seen
from streamer.flatfile.models import BrokenEvent, Environment, Event

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return an instant after the beginning."""
    return BEGIN + timedelta(seconds=seconds)


def fill(seen: Seen, events: int, *, late_share: float, keep: bool = True) -> dict[int, datetime]:
    """Publish events in commits of 200, some of them late by up to half an hour."""
    dice = random.Random(7)  # noqa: S311
    known: dict[int, datetime] = {}
    for first in range(0, events, 200):
        commit = []
        for number in range(first, first + 200):
            late_s = dice.random() * 1800 if dice.random() < late_share else 0.0
            commit.append((at(number / 200 - late_s), hash(f"us_evt_{number}")))
        commit.sort()
        seen.add([digest for _, digest in commit], [moment for moment, _ in commit], None)
        if keep:
            known.update((digest, moment) for moment, digest in commit)
    return known


@pytest.mark.parametrize("late_share", [0.0, 0.3])
def test_what_was_added_is_found_where_its_time_puts_it(late_share: float) -> None:
    """Every published event is known, and no other, however late it was."""
    seen = Seen()
    known = fill(seen, 60_000, late_share=late_share)
    digests, times = list(known), list(known.values())
    assert len(seen) == len(known)
    for first in range(0, len(digests), 1000):
        page = slice(first, first + 1000)
        strangers = [digest ^ 1 for digest in digests[page]]
        assert seen.unknown(digests[page], times[page]) == set()
        assert seen.unknown(strangers, times[page]) == set(strangers)


@pytest.mark.parametrize("late_share", [0.0, 0.3])
def test_an_event_costs_at_most_40_bytes(late_share: float) -> None:
    """An hour of 200 events a second is held in 40 bytes each, the newest ones included."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        seen = Seen()
        fill(seen, 200_000, late_share=late_share, keep=False)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    print(f"{used / len(seen):.1f} bytes an event")  # noqa: T201
    assert used / len(seen) <= 40


def test_forgetting_lets_go_of_nothing_that_may_be_shown_again() -> None:
    """What was created from a moment on is still known after forgetting what was before it."""
    seen = Seen()
    known = fill(seen, 80_000, late_share=0.2)
    seen.forget_before(at(250))
    kept = {digest: moment for digest, moment in known.items() if moment >= at(250)}
    assert seen.unknown(list(kept), list(kept.values())) == set()
    assert len(seen) < len(known)


def test_late_event_between_two_segments_is_forgotten_no_earlier_than_others() -> None:
    """A segment stays as long as the newest that came late to it is of interest."""
    seen = Seen()
    seen.add(list(range(SEGMENT_EVENTS)), [at(0)] * SEGMENT_EVENTS, None)
    seen.add([-1], [at(1000)], None)
    seen.add([-2], [at(500)], None)
    seen.forget_before(at(400))
    assert seen.unknown([-2, -1], [at(500), at(1000)]) == set()


def test_quiet_environment_is_not_remembered_for_hours() -> None:
    """One event a second, ten minutes of interest: never more than twice as many are kept."""
    seen = Seen()
    for second in range(4 * 3600):
        seen.add([second], [at(second)], None)
        seen.forget_before(at(second - 600))
        assert len(seen) <= 2 * 601
    assert seen.unknown([second - 600, second], [at(second - 600), at(second)]) == set()


def test_a_million_events_in_one_instant_stay_small() -> None:
    """A burst that no later event follows is compacted all the same."""
    seen = Seen()
    for first in range(0, 300_000, 1000):
        seen.add(list(range(first, first + 1000)), [BEGIN] * 1000, None)
    assert len(seen) == 300_000
    loose = len(seen._segments[-1].loose)
    assert loose <= max(2 * SEGMENT_EVENTS, len(seen) // 8) + 1000


def test_events_from_the_future_neither_pin_a_segment_nor_are_forgotten() -> None:
    """Events dated 2099 are known for good, and the segments of the present still end."""
    seen = Seen()
    future = [at(86_400 * 365 * 70)] * 60
    seen.add(list(range(60)), future, BEGIN)
    fill(seen, 40_000, late_share=0.0)
    seen.forget_before(at(150))
    assert seen.unknown(list(range(60)), future) == set()
    assert len(seen) < 20_000


def test_event_without_a_time_is_known_as_long_as_it_is_shown() -> None:
    """Its place is a guess, so showing it again near a later time keeps it."""
    seen = Seen()
    seen.set_apart(5, at(0))
    seen.keep_apart(5, at(100))
    seen.keep_apart(6, at(100))
    seen.forget_before(at(99))
    assert seen.unknown([5, 6], [at(99), at(99)]) == {6}
    seen.forget_before(at(101) + PURGE_INTERVAL)
    assert seen.unknown([5], [at(500)]) == {5}


def test_row_without_an_id_is_known_by_its_bytes_and_by_its_record() -> None:
    """An element that has no id is told from others by its bytes, before and after a restart."""
    seen = Seen()
    row = BrokenEvent(raw=b'{"broken', reason="not_json")
    other = BrokenEvent(raw=b'{"broken ', reason="not_json")
    digest, other_digest = seen.digests([row, other])
    assert digest != other_digest
    record_id = "sha256:1f4d0b2ea1f1dd0d2a4e1a3bcf1cf0c0"
    restored = Seen(stub_id=lambda _: record_id)
    restored.restore(Remembered(record_id, None), None)
    assert restored.unknown(restored.digests([row]), [at(0)]) == set()


def test_restored_record_brings_back_revision_and_state() -> None:
    """After a restart it is known how often an event was published, and in which states."""
    seen = Seen(acknowledged=True)
    seen.restore(Remembered("us_evt_1", at(0), 1), None)
    seen.restore(Remembered("us_evt_1", at(0), 3, "2026", "2025"), None)
    digest = hash("us_evt_1")
    event = Event(id="us_evt_1", topic="a:b", created_at="", deleted_at="2026")
    states = seen.states(event)
    assert seen.revision(digest) == 3
    assert seen.unknown([digest, *states], [at(0)] * (1 + len(states))) == set()
    other = Event(id="us_evt_1", topic="a:b", created_at="", deleted_at="2027")
    assert seen.unknown(seen.states(other), [at(0)]) == set(seen.states(other))


def test_acknowledgement_is_a_state_only_if_asked_for() -> None:
    """By default an acknowledgement changes nothing that would be published again."""
    event = Event(id="us_evt_1", topic="a:b", created_at="", acknowledged_at="2026")
    assert Seen().states(event) == []
    assert len(Seen(acknowledged=True).states(event)) == 1


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_long_id_is_known_by_what_its_record_has(is_broken: bool) -> None:  # noqa: FBT001
    """An event whose id is too long for a record is known again by the record's digest of it."""
    id_ = "us_evt_" + "x" * 600
    row: BrokenEvent | Event
    if is_broken:
        row = BrokenEvent(raw=b"{}", reason="wrong_type", id=id_)
    else:
        row = Event(id=id_, topic="x:y", created_at="", deleted_at="2026-03-01T12:00:00Z")
    draft = read(row)
    encoder = Encoder(Environment(id="us_env_a", name="a"), None, max_record_bytes=1_000_000)
    (sealed,), _ = encoder.encode([draft], {}, "2026-03-01T12:00:00Z", genesis("us_env_a"))
    record = restore(sealed.value)
    assert len(record.id) < len(id_)
    seen = Seen()
    deleted_at = record.lifecycle.deleted_at
    seen.restore(Remembered(record.id, at(0), deleted_at=deleted_at), None)
    identities = [*seen.digests([row]), *seen.states(row)]
    assert len(identities) == (1 if is_broken else 2)
    assert seen.unknown(identities, [at(0)] * len(identities)) == set()
