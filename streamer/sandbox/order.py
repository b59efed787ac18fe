"""In which order an environment's events stand, when most of them exist only as a formula.

The backlog's times are computed from an index and never stored, so a million events need no
memory. Whatever does not fit the formula is kept beside it, sorted: events that came later
(*extras*) and places in the backlog that are empty by now (*removed*). A position in the merged
order is found by bisection in both.

Times are whole milliseconds since 1970, as Flatfile shows them. Pure: no clock, no I/O.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Order:
    """Indices of events by time: oldest first, and by index within one millisecond.

    Indices below `backlog` belong to the formula, all others are extras.
    """

    def __init__(self, backlog: int, backlog_ms: Callable[[int], int]) -> None:
        self._backlog = backlog
        self._backlog_ms = backlog_ms
        self._extras: list[tuple[int, int]] = []
        self._ranks: list[int] = []
        self._removed: list[int] = []

    def __len__(self) -> int:
        return self._backlog - len(self._removed) + len(self._extras)

    def add(self, created_ms: int, index: int) -> None:
        """Put an extra in its place."""
        key = (created_ms, index)
        if not self._extras or key > self._extras[-1]:
            place = len(self._extras)
        else:
            place = bisect_left(self._extras, key)
        self._extras.insert(place, key)
        self._ranks.insert(place, self._rank(created_ms))

    def remove(self, index: int, created_ms: int) -> bool:
        """Take an event out of the order; False if it is not in it."""
        if index < self._backlog:
            place = bisect_left(self._removed, index)
            if self._removed[place : place + 1] == [index]:
                return False
            insort(self._removed, index)
            return True
        place = bisect_left(self._extras, (created_ms, index))
        if self._extras[place : place + 1] != [(created_ms, index)]:
            return False
        del self._extras[place], self._ranks[place]
        return True

    def first_at(self, bound_ms: int) -> int:
        """Return the position of the first event that is not older than the bound."""
        index = bisect_left(range(self._backlog), bound_ms, key=self._backlog_ms)
        remaining = index - bisect_left(self._removed, index)
        return remaining + bisect_left(self._extras, (bound_ms, -1))

    def last_ms(self) -> int | None:
        """Return the newest time at which there was an event, removed ones included."""
        newest = self._extras[-1][0] if self._extras else None
        if self._backlog:
            backlog_ms = self._backlog_ms(self._backlog - 1)
            newest = backlog_ms if newest is None else max(newest, backlog_ms)
        return newest

    def runs(self, start: int, stop: int) -> list[range]:
        """Return the indices at positions `start` to `stop` as runs of neighbours."""
        stop = min(stop, len(self))
        found: list[range] = []
        extra = bisect_left(range(len(self._extras)), start, key=self._position)
        position = start
        while position < stop:
            at_extra = self._position(extra) if extra < len(self._extras) else stop
            if at_extra == position:
                index = self._extras[extra][1]
                found.append(range(index, index + 1))
                extra += 1
                position += 1
                continue
            end = min(stop, at_extra)
            found.extend(self._backlog_runs(position - extra, end - extra))
            position = end
        return found

    def _rank(self, created_ms: int) -> int:
        """Return how many of the backlog are not newer, removed ones included."""
        if not self._backlog or created_ms >= self._backlog_ms(self._backlog - 1):
            return self._backlog
        return bisect_right(range(self._backlog), created_ms, key=self._backlog_ms)

    def _position(self, extra: int) -> int:
        """Return the position of an extra in the merged order."""
        rank = self._ranks[extra]
        return rank - bisect_left(self._removed, rank) + extra

    def _backlog_runs(self, start: int, stop: int) -> list[range]:
        """Return the backlog's indices at these places among those that are not removed."""
        found: list[range] = []
        while start < stop:
            gap = bisect_right(
                range(len(self._removed)), start, key=lambda place: self._removed[place] - place
            )
            first = start + gap
            after = self._removed[gap] if gap < len(self._removed) else self._backlog
            length = min(stop - start, after - first)
            found.append(range(first, first + length))
            start += length
        return found
