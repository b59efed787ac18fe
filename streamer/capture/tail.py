"""From which offset the last records of an environment can be read back.

A queue of (first offset, newest `createdAt`) per commit. From the left those leave whose newest is
no longer of interest; right for any order of event times, since what stands behind an entry that
must stay stays with it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from streamer.capture.position import UNDATED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MOST_ENTRIES: Final = 2048
"""Beyond this neighbours are merged in pairs, and later commits in groups as large: a coarser tail
costs some reading at a restart, one two-thousandth of what must be read."""


class Tail:
    """Where the records of an environment that are still of interest begin."""

    __slots__ = ("_entries", "_group", "_grouped")

    def __init__(self) -> None:
        self._entries: deque[tuple[int, datetime]] = deque()
        self._group = 1
        self._grouped = 0

    def add(self, first_offset: int, newest: datetime) -> None:
        """Note a commit, or a record that was read back."""
        if self._entries and 0 < self._grouped < self._group:
            self._grouped += 1
            first, other = self._entries[-1]
            self._entries[-1] = (first, max(other, newest))
            return
        self._grouped = 1
        self._entries.append((first_offset, newest))
        if len(self._entries) > MOST_ENTRIES:
            self._entries = deque(_in_pairs(self._entries))
            self._group *= 2

    def date(self, moment: datetime) -> None:
        """Give entries without a time one that is not before the creation of what they hold."""
        self._entries = deque(
            (first, moment if newest is UNDATED else newest) for first, newest in self._entries
        )

    def forget_before(self, moment: datetime | None) -> None:
        """Drop from the left what is older than `moment`."""
        if moment is None:
            return
        while self._entries and self._entries[0][1] < moment:
            self._entries.popleft()
        if len(self._entries) < MOST_ENTRIES // 8:
            self._group = max(1, self._group // 2)

    def offset(self, moment: datetime | None, otherwise: int) -> int:
        """Return the first offset that is of interest if all before `moment` is not."""
        for first_offset, newest in self._entries:
            if moment is None or newest >= moment:
                return first_offset
        return otherwise


def _in_pairs(entries: deque[tuple[int, datetime]]) -> Iterator[tuple[int, datetime]]:
    pending = iter(entries)
    for first_offset, newest in pending:
        _, other = next(pending, (first_offset, newest))
        yield first_offset, max(newest, other)
