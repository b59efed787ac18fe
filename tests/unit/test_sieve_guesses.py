"""An event that does not say when it was created, in a listing without order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streamer.capture.seen import SEGMENT_EVENTS, Remembered, Seen
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


def test_event_without_a_time_is_known_after_a_restart_amid_the_first_look() -> None:
    """The records before it are of last week, and say nothing of when it was created."""
    seen = Seen()
    sieve = PendingSieve(seen, Excluded(()))
    seen.restore(Remembered("us_evt_1", None), NOW - timedelta(days=7), None)
    seen.forget_before(SINCE)
    row = Event(id="us_evt_1", topic="a:b", created_at="yesterday")
    assert sieve.sift(Page([row], [None], NOW, 1), [NOW]) == []
