"""What a server makes of `since`, found out by asking and striking out.

There is a finite number of readings of "events since then". Each says of every event that is known
whether a given `since` shows it; an answer strikes out the readings that said otherwise. The next
`since` is the one that tells most of the rest apart, and where none does, what is left cannot be
told apart by the events that there are. Pure: who asks is `streamer.flatfile.survey`.

Nothing depends on the outcome: the walk asks in a way that is right under every reading. It is for
people, who want to know what they are connected to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

EVENTS_AT_MOST: Final = 40
"""Around so many known events a `since` is looked for: more would tell no more."""

VANISHED_ONE_IN: Final = 20
"""Of the events that all readings show, so many may be missing: they expire at any moment. If more
are, or one is shown that no reading shows, this is a server that none of them describes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MS: Final = 1000
_SECOND: Final = 1_000_000

_AROUND: Final = (0, _MS, -_MS, 250 * _MS, -250 * _MS, 600 * _MS, -600 * _MS)
"""How far from an event, in microseconds, a `since` may tell something."""


class Comparison(Enum):
    """How `since` is compared with `createdAt`."""

    EXACT = "to the millisecond"
    SINCE_CUT = "after `since` was cut to the second"
    SINCE_ROUNDED = "after `since` was rounded to the second"
    BOTH_CUT = "in whole seconds, cut"
    BOTH_ROUNDED = "in whole seconds, rounded"
    IGNORED = "not at all"


@dataclass(frozen=True, slots=True)
class Reading:
    """One meaning that `since` may have."""

    comparison: Comparison
    inclusive: bool

    def shows(self, created_us: int, since_us: int) -> bool:
        """Whether an event of that time is listed under that `since`; microseconds since 1970."""
        match self.comparison:
            case Comparison.EXACT:
                pass
            case Comparison.SINCE_CUT:
                since_us = _cut(since_us)
            case Comparison.SINCE_ROUNDED:
                since_us = _cut(since_us + _SECOND // 2)
            case Comparison.BOTH_CUT:
                created_us, since_us = _cut(created_us), _cut(since_us)
            case Comparison.BOTH_ROUNDED:
                created_us, since_us = (
                    _cut(created_us + _SECOND // 2),
                    _cut(since_us + _SECOND // 2),
                )
            case Comparison.IGNORED:
                return True
        return created_us >= since_us if self.inclusive else created_us > since_us


READINGS: Final = (
    *(
        Reading(comparison, inclusive)
        for comparison in Comparison
        if comparison is not Comparison.IGNORED
        for inclusive in (True, False)
    ),
    Reading(Comparison.IGNORED, inclusive=True),
)
"""All that are considered."""


class SinceReading:
    """The readings of one server that no answer has ruled out so far.

    Attributes:
        left: Those; empty if the answers fit none.
    """

    def __init__(self) -> None:
        self.left: tuple[Reading, ...] = READINGS
        self._asked: set[datetime] = set()

    @property
    def comparisons(self) -> set[Comparison]:
        """How it may compare."""
        return {reading.comparison for reading in self.left}

    @property
    def inclusive(self) -> bool | None:
        """Whether its own instant is shown; None if that cannot be told."""
        bounds = {reading.inclusive for reading in self.left}
        return bounds.pop() if len(bounds) == 1 else None

    def next_since(self, times: Iterable[datetime]) -> datetime | None:
        """Return the `since` that tells most readings apart; None if none does any more.

        Args:
            times: Of the events that are known.
        """
        known = sorted(map(_us, times))
        best, least = None, len(self.left)
        for since_us in _around(known):
            since = _moment(since_us)
            if since in self._asked:
                continue
            groups = Counter(_first_shown(reading, known, since_us) for reading in self.left)
            largest = max(groups.values(), default=0)
            if largest < least:
                best, least = since, largest
        return best

    def answered(
        self, since: datetime, shown: Collection[str], judged: Mapping[str, datetime]
    ) -> None:
        """Strike out the readings that an answer contradicts.

        Args:
            since: What was asked for.
            shown: Ids of the events in the answer.
            judged: Ids and times of events that would be in this answer if `since` lets them.
        """
        self._asked.add(since)
        since_us = _us(since)
        missing = 0
        for id_, at in judged.items():
            is_shown = id_ in shown
            fitting = tuple(each for each in self.left if each.shows(_us(at), since_us) is is_shown)
            if fitting or is_shown:
                self.left = fitting
            else:
                missing += 1
        if missing * VANISHED_ONE_IN > len(judged):
            self.left = ()


def _around(known_us: Sequence[int]) -> Iterable[int]:
    """The moments at which a `since` may tell something, each in whole milliseconds.

    Events at a whole second come first: they alone show whether a bound in seconds includes itself.
    """
    whole = [at for at in known_us if at % _SECOND == 0]
    step = len(known_us) // EVENTS_AT_MOST + 1
    for at in [*whole[:EVENTS_AT_MOST], *known_us[::step]]:
        at_ms = at - at % _MS
        yield from (at_ms + distance for distance in _AROUND)
        yield from (_cut(at), _cut(at) + _SECOND - _MS)


def _first_shown(reading: Reading, known_us: Sequence[int], since_us: int) -> int:
    return bisect_left(known_us, 1, key=lambda at: reading.shows(at, since_us))


def _cut(us: int) -> int:
    return us - us % _SECOND


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
