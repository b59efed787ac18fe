"""How far one environment has been read, and what a look has brought.

Values and their arithmetic; no I/O, no clock. Every time in here is the server's, never ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from streamer.flatfile.models import Row

if TYPE_CHECKING:
    from streamer.config import CaptureSettings

UNDATED: Final = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
"""Stands for when an event was created that was published by an earlier process and does not say:
later than all that is known, until a look has begun after it."""

READ_MARGIN: Final = timedelta(seconds=2)
"""How much further back every look begins: `Date` is cut to seconds, and is written after the rows
were chosen."""

SEEN_MARGIN: Final = timedelta(seconds=5)
"""How much further back we know what has been seen. A look shows rows of up to 4.5 s before its
start less the overlap: 2 s of margin, up to 2 s because `since` is a whole second and one less,
0.5 s from servers that round."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """An event, or a revision of it, that has not been published.

    Attributes:
        row: The event as sent.
        created_at: Its `createdAt`, or where that is no date-time, one of its neighbours'.
        revision: 1, or how often it has been published, plus one.
    """

    row: Row
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Position:
    """What a checkpoint knows of time.

    Attributes:
        watermark: Everything visible with a `createdAt` up to here has been published.
        polled: When the last complete look began. Staleness means this.
        swept: When the last complete sweep began; the first look begins the count.
        seen_from: What has been published is known from here on; only ever rises.
    """

    watermark: datetime | None = None
    polled: datetime | None = None
    swept: datetime | None = None
    seen_from: datetime | None = None


class Change(NamedTuple):
    """What is remembered of a reading that tells what happened to the event itself.

    Attributes:
        states: Digests of what it tells.
    """

    digest: int
    states: list[int]
    created_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class Traces:
    """What is remembered of readings once they are published: of their rows, digests alone.

    Attributes:
        digests: One for each reading.
        times: Their `created_at`.
        newest: None of them was created after it. Later than all of `times` where one does not say
            when it was: then it is when that one was shown.
        changes: Of the few readings that tell what happened to the event itself.
    """

    digests: list[int]
    times: list[datetime]
    newest: datetime | None
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class Capture:
    """What is to be published next.

    Attributes:
        readings: Oldest first; excluded topics are left out. May be empty: the position moves.
            Whoever has made use of them may empty the list: the rest is done with their traces.
        traces: What is remembered of them.
        position: Holds once all of `readings` are published.
        server_at: `Date` of the first answer of the look.
        more: The look goes on, or ended where there was more to read.
    """

    readings: list[Reading]
    traces: Traces
    position: Position
    server_at: datetime | None
    more: bool

    @property
    def age_s(self) -> float:
        """How long ago the newest of `readings` happened, by the server's clock."""
        if not self.readings or self.server_at is None:
            return 0.0
        return (self.server_at - self.readings[-1].created_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Windows:
    """The durations of `CaptureSettings` that decide where looks begin."""

    overlap: timedelta
    sweep: timedelta

    @classmethod
    def of(cls, settings: CaptureSettings) -> Windows:
        """Take the durations out of the settings."""
        return cls(
            timedelta(seconds=settings.overlap),
            timedelta(seconds=settings.sweep_window),
        )


def latest(*moments: datetime | None) -> datetime | None:
    """Return the latest of those that are known."""
    return max((moment for moment in moments if moment is not None), default=None)


def earlier(moment: datetime | None, by: timedelta) -> datetime | None:
    """Return `moment` less `by`; the beginning of time if it is not known or too far back."""
    if moment is None:
        return None
    try:
        return moment - by
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def base_of(position: Position, windows: Windows) -> datetime | None:
    """Return from where on a look must read, so that nothing lies between it and the last one."""
    return latest(position.watermark, earlier(position.polled, windows.overlap))


def with_seen_from(position: Position, windows: Windows) -> Position:
    """Let go of what no look will show again.

    Measured from `polled` where that is later than the watermark: an environment that has been
    quiet for a month would otherwise keep a month of its shard to be read back at every start.
    """
    read_to = latest(position.watermark, position.polled)
    bounds = (earlier(position.swept, windows.sweep), earlier(read_to, windows.overlap))
    if bounds[0] is None or bounds[1] is None:
        return position
    reach = earlier(min(bounds[0], bounds[1]), SEEN_MARGIN)
    return replace(position, seen_from=latest(position.seen_from, reach))
