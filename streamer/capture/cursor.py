"""One environment's two positions: how far it has been read, and how far it is published.

The read position runs ahead by what has been captured and not yet confirmed; the confirmed one
moves at the commit. No I/O: pages come through the function that a look is given, and what failed
or was not confirmed in the end is not undone here. Then a new cursor is built from the log.
"""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

from streamer.capture.position import (
    READ_MARGIN,
    UNDATED,
    Capture,
    Position,
    Reading,
    Windows,
    base_of,
    earlier,
    latest,
    with_seen_from,
)
from streamer.capture.seen import Remembered, Seen
from streamer.capture.sieve import Excluded, PendingSieve
from streamer.capture.tail import Tail
from streamer.flatfile.listing import Batch, FetchPage, Scope
from streamer.flatfile.walk import walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from streamer.config import CaptureSettings
    from streamer.flatfile.server_profile import ServerProfile

LONG_LISTING_LASTS: Final = timedelta(seconds=6.5)
"""So much further a fast poll would have to begin before its `start` moves, where many rows stand
behind that (a burst): as long as it stays, the place of the last row is known. After that a new
start leaves those rows out: it is 2 s back, its `since` is up to 2 s before it, and a server that
rounds adds 0.5 s."""


@dataclass(frozen=True, slots=True)
class _LongListing:
    """What a fast poll found that more than one page could hold."""

    start: datetime
    rows: int
    base: datetime


class Look(Enum):
    """What a look is for, which decides where it begins."""

    FAST = "fast"
    WIDE = "wide"
    SWEEP = "sweep"


class Cursor:
    """What has been read of one environment, and what has been published.

    Attributes:
        position: How far everything is published.
    """

    def __init__(
        self,
        settings: CaptureSettings,
        profile: ServerProfile,
        *,
        position: Position | None = None,
        seen: Seen | None = None,
        floor: datetime | None = None,
    ) -> None:
        """Begin at a checkpoint, or at the beginning.

        Args:
            settings: Windows, excluded topics, revisions.
            profile: Of the server; shared by all environments.
            position: Of the checkpoint.
            seen: Where to keep what has been seen; `restore` fills it.
            floor: `START` as an instant: nothing older is ever published.
        """
        self.position = position or Position()
        self._read = self.position
        self._windows = Windows.of(settings)
        self._profile = profile
        self._floor = floor
        if seen is None:  # One that is empty is false, and still knows what ids are made of.
            seen = Seen(acknowledged=settings.revisions == "acknowledged")
        self._seen = seen
        self._sieve = PendingSieve(self._seen, Excluded(settings.exclude_topics))
        self._sieve.floor = floor
        self._sieve.seen_from = self.position.seen_from
        self._tail = Tail()
        self._unconfirmed: deque[Capture] = deque()
        self._long: _LongListing | None = None
        self._has_undated = False

    @property
    def floor(self) -> datetime | None:
        """Nothing older is ever published."""
        return self._floor

    @property
    def dropped(self) -> int:
        """Rows that came too late to be told from what was published, so far."""
        return self._sieve.dropped

    def restore(self, record: Remembered, offset: int) -> None:
        """Take in a record of this environment that was read back from the topic, in log order."""
        self._seen.restore(record, latest(self.position.polled, self.position.watermark))
        self._tail.add(offset, record.created_at or UNDATED)
        self._has_undated |= record.created_at is None

    def keep_tail(self, offset: int) -> None:
        """Hold the tail where it is: what is behind it was not read back."""
        self._tail.add(offset, datetime.max.replace(tzinfo=UTC))

    def step_back(self, moment: datetime | None) -> None:
        """Believe the checkpoint only up to `moment`: what it says beyond has no records.

        Only before the first look. None: believe nothing of it.
        """
        at = self.position
        self.position = self._read = replace(
            at,
            watermark=_not_after(at.watermark, moment),
            polled=None,
            swept=_not_after(at.swept, moment),
        )

    async def look(self, kind: Look, fetch: FetchPage) -> AsyncGenerator[Capture, None]:
        """Read once through what `kind` covers; the last capture ends a complete look.

        Close it (`contextlib.aclosing`) when leaving early. Whatever `fetch` raises comes out; what
        was captured until then stays captured.

        Args:
            kind: Where to begin.
            fetch: Asks for one page of this environment.
        """
        scope = self._scope(kind)
        base = base_of(self._read, self._windows)
        joins = scope.start is None or (base is not None and scope.start <= base)
        joins = joins or scope.start == self._floor
        try:
            async with aclosing(walk(fetch, self._profile, scope, self._sieve)) as batches:
                async for batch in batches:
                    capture = self._capture(kind, batch, joins=joins)
                    self._read = capture.position
                    self._sieve.seen_from = capture.position.seen_from
                    if kind is Look.FAST and batch.complete:
                        self._remember_length(scope, batch.listed)
                    if capture.readings or batch.complete or not batch.more:
                        self._unconfirmed.append(capture)
                        yield capture
        finally:
            self._sieve.forget_all_but(capture.traces for capture in self._unconfirmed)

    def confirm(self, capture: Capture, first_offset: int | None) -> None:
        """Move the confirmed position: the oldest unconfirmed capture is published.

        Args:
            capture: As it was yielded.
            first_offset: Of its records in the audit partition; None if it has none.
        """
        if not self._unconfirmed or self._unconfirmed[0] is not capture:
            message = "captures are confirmed in the order in which they were read"
            raise ValueError(message)
        newest = capture.traces.newest
        if newest is not None:
            if first_offset is None:
                message = "a capture with readings has a first offset"
                raise ValueError(message)
            self._sieve.settle(capture.traces, capture.server_at)
            self._tail.add(first_offset, newest)
        self._unconfirmed.popleft()
        polled = capture.position.polled
        if self._has_undated and polled is not None and polled != self.position.polled:
            # That look began after this cursor did, and so after what it restored was published.
            self._seen.date(polled)
            self._tail.date(polled)
            self._has_undated = False
        self.position = capture.position
        self._seen.forget_before(self.position.seen_from)
        self._tail.forget_before(self.position.seen_from)

    def tail(self, end_offset: int) -> int:
        """Return from where on the partition has to be read to rebuild this cursor.

        Args:
            end_offset: Where the partition ends: the answer if nothing is of interest any more.
        """
        return self._tail.offset(self.position.seen_from, end_offset)

    def tail_after(self, capture: Capture, first_offset: int | None, end_offset: int) -> int:
        """Return what `tail` will be once `capture` is confirmed: for its checkpoint."""
        seen_from, newest = capture.position.seen_from, capture.traces.newest
        if first_offset is not None and newest and (seen_from is None or newest >= seen_from):
            end_offset = first_offset
        return self._tail.offset(seen_from, end_offset)

    def _scope(self, kind: Look) -> Scope:
        """Return what a look covers.

        A sweep begins at the last sweep's beginning less the window, not at the watermark less the
        window: an event may have become visible just after the last sweep, and be late by all of
        the window.
        """
        at, windows = self._read, self._windows
        base = base_of(at, windows)
        if at.polled is None:
            kind = Look.FAST
        long = self._long
        if kind is Look.FAST and long is not None and self._lasts(long, base):
            return Scope(long.start, at.watermark, long.rows)
        read_to = latest(at.watermark, at.polled)
        wide = earlier(read_to, windows.overlap)
        start: datetime | None
        match kind:
            case Look.FAST:
                start = base
            case Look.WIDE:
                start = wide
            case Look.SWEEP:
                start = min(filter(None, (earlier(at.swept, windows.sweep), wide)), default=None)
        start = latest(earlier(start, READ_MARGIN), at.seen_from, self._floor)
        proved = at.watermark if kind is Look.FAST else None
        return Scope(start, proved, steady=kind is Look.SWEEP)

    def _lasts(self, long: _LongListing, base: datetime | None) -> bool:
        seen_from = self._read.seen_from
        if base is None or (seen_from is not None and long.start < seen_from):
            return False
        return base <= long.base + LONG_LISTING_LASTS

    def _remember_length(self, scope: Scope, listed: int) -> None:
        base = base_of(self._read, self._windows)
        if scope.start is None or base is None or listed <= self._profile.full:
            self._long = None
        else:
            since = self._long.base if self._long and self._long.start == scope.start else base
            self._long = _LongListing(scope.start, listed, since)

    def _capture(self, kind: Look, batch: Batch[Reading], *, joins: bool) -> Capture:
        at, begun_at = self._read, batch.begun_at
        if begun_at is not None:
            watermark, polled, swept = at.watermark, at.polled, at.swept or begun_at
            if joins and batch.proved is not None:
                watermark = latest(watermark, min(batch.proved, begun_at))
            if joins and batch.complete:
                polled = latest(polled, begun_at)
            if batch.complete and kind is Look.SWEEP:
                swept = max(swept, begun_at)
            at = Position(watermark, polled, swept, at.seen_from)
            at = with_seen_from(at, self._windows)
        return Capture(batch.found, self._sieve.traces(batch.found), at, begun_at, batch.more)


def _not_after(moment: datetime | None, bound: datetime | None) -> datetime | None:
    return None if moment is None or bound is None else min(moment, bound)
