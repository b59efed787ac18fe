"""What of a page is new: not published, not captured, not excluded, not too old.

Between capture and commit an identity is *pending*; then it moves to what has been seen. What was
read but never captured is forgotten again when its look ends.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import compress, repeat
from operator import attrgetter, not_
from typing import TYPE_CHECKING

from streamer.capture.position import Change, Reading, Traces, latest
from streamer.flatfile.models import Event, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from streamer.capture.seen import Seen
    from streamer.flatfile.pages import Page

_ROW = attrgetter("row")
_CREATED_AT = attrgetter("created_at")


class Excluded:
    """The topics that are not published, by glob pattern."""

    __slots__ = ("_known", "_patterns")

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = tuple(patterns)
        self._known: dict[str | None, bool] = {None: False}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def covers(self, topic: str | None) -> bool:
        """Whether a topic is left out."""
        answer = self._known.get(topic)
        if answer is None:
            answer = any(fnmatchcase(topic or "", pattern) for pattern in self._patterns)
            if len(self._known) < 4096:  # Topics come from outside: bounded.
                self._known[topic] = answer
        return answer


class PendingSieve:
    """Sifts pages for one environment; `streamer.flatfile.listing.Sieve`.

    Attributes:
        floor: Nothing older is published.
        seen_from: What is older cannot be told from what was published, and is dropped.
        dropped: How many rows were.
    """

    def __init__(self, seen: Seen, excluded: Excluded) -> None:
        self.floor: datetime | None = None
        self.seen_from: datetime | None = None
        self.dropped = 0
        self._seen = seen
        self._excluded = excluded
        self._pending: set[int] = set()
        self._revisions: dict[int, int] = {}
        self._guessed: dict[int, datetime] = {}

    def identities(self, page: Page) -> list[int]:
        """Return the identity of each row."""
        return self._seen.digests(page.rows)

    def sift(self, page: Page, times: list[datetime]) -> list[Reading]:
        """Return what is new on a page, in its order; it is pending from now on."""
        rows = page.rows
        if not rows:
            return []
        digests = self._seen.digests(rows)
        left = self._unknown(digests, times)
        if self._excluded:
            covers = self._excluded.covers
            left -= {digest for row, digest in zip(rows, digests, strict=True) if covers(row.topic)}
        is_new = list(map(left.__contains__, digests))
        if (
            sum(is_new) != len(left)
            or self._is_limited(min(times))
            or _is_any_changed(rows, is_new)
        ):
            readings = self._pick(rows, times, digests, left)
        else:
            readings = list(
                map(Reading, compress(rows, is_new), compress(times, is_new), repeat(1))
            )
            self._pending |= left
            for row in _with_lifecycle(rows):
                self._pending.update(self._seen.states(row))
        if None in page.times:
            self._note_undated(page, times, digests)
        return readings

    def _unknown(self, digests: Sequence[int], times: Sequence[datetime]) -> set[int]:
        return self._seen.unknown(digests, times).difference(self._pending)

    def _is_limited(self, oldest: datetime) -> bool:
        return (self.floor is not None and oldest < self.floor) or (
            self.seen_from is not None and oldest < self.seen_from
        )

    def _pick(
        self, rows: Sequence[Row], times: Sequence[datetime], digests: list[int], left: set[int]
    ) -> list[Reading]:
        floor, seen_from = self.floor, self.seen_from
        readings = []
        for row, moment, digest in zip(rows, times, digests, strict=True):
            new = digest in left
            if not new and (type(row) is not Event or not (row.deleted_at or row.acknowledged_at)):
                continue
            if self._excluded.covers(row.topic) or (floor is not None and moment < floor):
                continue
            if seen_from is not None and moment < seen_from:
                self.dropped += new
                continue
            states = self._seen.states(row)
            if new:
                left.discard(digest)
                self._pending.add(digest)
                readings.append(Reading(row, moment, 1))
            elif states and self._unknown(states, [moment] * len(states)):
                readings.append(Reading(row, moment, self._next_revision(digest)))
            self._pending.update(states)
        return readings

    def _next_revision(self, digest: int) -> int:
        last = max(self._seen.revision(digest), self._revisions.get(digest, 1))
        self._revisions[digest] = last + 1
        return last + 1

    def _note_undated(self, page: Page, times: Sequence[datetime], digests: Sequence[int]) -> None:
        """Know rows without a time by when they were shown: they were not created after that.

        In a listing without order the neighbours of a row say nothing of when it was created.
        """
        for row, sent, moment, digest in zip(page.rows, page.times, times, digests, strict=True):
            if sent is not None:
                continue
            shown_at = latest(moment, page.server_at) or moment
            for one in (digest, *self._seen.states(row)):
                self._seen.keep_apart(one, shown_at)
                if one in self._pending:
                    self._guessed.setdefault(one, shown_at)

    def traces(self, readings: Sequence[Reading]) -> Traces:
        """Return what `settle` and `forget_all_but` need of readings."""
        rows = list(map(_ROW, readings))
        digests = self._seen.digests(rows)
        changes = []
        if _with_lifecycle(rows):
            changes = [
                Change(digest, states, reading.created_at, reading.revision)
                for reading, digest in zip(readings, digests, strict=True)
                if (states := self._seen.states(reading.row))
            ]
        times = list(map(_CREATED_AT, readings))
        newest = times[-1] if times else None
        if self._guessed:
            newest = latest(newest, *(self._guessed.get(digest) for digest in digests))
        return Traces(digests, times, newest, changes)

    def settle(self, traces: Traces, now: datetime | None) -> None:
        """Take what was published out of the pending and into what has been seen."""
        seen = self._seen
        seen.add(traces.digests, traces.times, now)
        settled = set(traces.digests)
        for change in traces.changes:
            seen.add(change.states, [change.created_at] * len(change.states), now)
            moment = self._guessed.get(change.digest, change.created_at)
            seen.revise(change.digest, change.revision, moment)
            settled.update(change.states)
        for digest in settled & self._guessed.keys():
            seen.set_apart(digest, self._guessed.pop(digest))
        self._pending -= settled

    def forget_all_but(self, captured: Iterable[Traces]) -> None:
        """Forget what was read and never captured; `captured` still waits for its commit."""
        pending: set[int] = set()
        revisions: dict[int, int] = {}
        for traces in captured:
            pending.update(traces.digests)
            for change in traces.changes:
                pending.update(change.states)
                if change.revision > 1:
                    revisions[change.digest] = change.revision
        self._pending = pending
        self._revisions = revisions
        for digest in self._guessed.keys() - pending:
            del self._guessed[digest]


def _with_lifecycle(rows: Iterable[Row]) -> list[Event]:
    return [row for row in rows if type(row) is Event and (row.deleted_at or row.acknowledged_at)]


def _is_any_changed(rows: Sequence[Row], is_new: Sequence[bool]) -> bool:
    """Whether a row that is known may have become a further revision."""
    return not all(is_new) and bool(_with_lifecycle(compress(rows, map(not_, is_new))))
