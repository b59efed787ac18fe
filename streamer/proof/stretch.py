"""One environment's records, as far as they were read: their numbers and the links between them.

Records are missing only once it is known that they do not come later: a hole is kept open until the
end, so that what was moved is told apart from what was removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit.chain import Link, genesis
from streamer.proof.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

HOLES_AT_MOST: Final = 1000
"""So many are kept open; the oldest is then a gap, and what comes later in its place a repetition.
"""


class Wrong(NamedTuple):
    """Something that does not hold."""

    kind: Kind
    what: str
    offset: int


class _Hole(NamedTuple):
    """Numbers that have not come.

    Attributes:
        head: The hash of the record before the first of them, if that is known.
        offset: Of the record behind the hole.
    """

    first: int
    last: int
    head: bytes | None
    offset: int

    def gap(self) -> Wrong:
        numbers = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return Wrong(Kind.GAP, f"sequence {numbers} is missing before it", self.offset)


class Times:
    """When the records of an environment were captured, and when their events happened.

    Attributes:
        first_observed: When the first record was captured, as it says.
        last_observed: Likewise the last.
        oldest: The earliest time of an event.
        newest: The latest.
    """

    __slots__ = ("first_observed", "last_observed", "newest", "oldest")

    def __init__(self) -> None:
        self.first_observed = ""
        self.last_observed = ""
        self.oldest: datetime | None = None
        self.newest: datetime | None = None

    def take(self, observed: str, at: datetime | None) -> None:
        """Take in those of one record."""
        self.first_observed = self.first_observed or observed
        self.last_observed = observed
        if at is None:
            return
        if self.oldest is None or at < self.oldest:
            self.oldest = at
        if self.newest is None or at > self.newest:
            self.newest = at


class Stretch:
    """Takes the records of one environment in the order of their offsets.

    Attributes:
        environment: The environment's id.
        partition: Where its records are.
        first: Sequence of the first record; 0 as long as there is none.
        highest: The highest sequence so far.
        link: The last record.
        offset: Of the last record.
        unread: How many messages since the last record could not be read, or not be believed:
            they may be the records whose numbers are missing.
        records: How many records were taken.
        times: When all this was.
    """

    __slots__ = (
        *("_holes", "_is_whole", "environment", "first", "highest", "link"),
        *("offset", "partition", "records", "times", "unread"),
    )

    def __init__(self, environment: str, partition: int, *, is_whole: bool) -> None:
        """Begin before the first record.

        Args:
            environment: The environment's id.
            partition: Where its records are.
            is_whole: Whether nothing lies before what is read: it must then begin at 1.
        """
        self.environment = environment
        self.partition = partition
        self.first = 0
        self.highest = 0
        self.link = genesis(environment)
        self.offset = 0
        self.unread = 0
        self.records = 0
        self.times = Times()
        self._is_whole = is_whole
        self._holes: list[_Hole] = []

    def follow(self, link: Link, previous: bytes, offset: int) -> Sequence[Wrong]:
        """Take the next record.

        Args:
            link: The record's sequence and hash.
            previous: The hash that it says the record before it has.
            offset: Of the record.
        """
        sequence = link.sequence
        self.records += 1
        self.offset = offset
        if self.first == 0:
            self._begin(sequence, previous)
        is_next = sequence == self.link.sequence + 1
        if is_next and sequence > self.highest and previous == self.link.head:
            self.link = link
            self.highest = sequence
            self.unread = 0
            return ()
        wrong: list[Wrong] = []
        hole = self._hole_with(sequence)
        if hole is not None:
            what = f"sequence {sequence} lies behind {self.highest}"
            wrong.append(Wrong(Kind.REORDERED, what, offset))
            if sequence == hole.first and hole.head not in (None, previous):
                wrong.append(_unlinked(sequence, offset))
            self._fill(hole, link)
        else:
            if sequence <= self.highest:
                wrong.append(Wrong(Kind.DUPLICATE, f"sequence {sequence} is there twice", offset))
            elif sequence > self.highest + 1 + self.unread:
                wrong += self._open(sequence, offset)
            elif is_next and previous != self.link.head:
                wrong.append(_unlinked(sequence, offset))
            # What follows is held against this record, so that one fault is reported once.
            self.link = link
            self.highest = max(self.highest, sequence)
        self.unread = 0
        return wrong

    @property
    def begins_late(self) -> bool:
        """Whether it begins behind records that were deleted, and whose absence is no gap."""
        return not self._is_whole and self.first > 1

    def gaps(self) -> Iterator[Wrong]:
        """What never came; asked once everything was read."""
        return (hole.gap() for hole in self._holes)

    def _begin(self, sequence: int, previous: bytes) -> None:
        self.first = sequence
        if not self._is_whole and sequence > 1:
            self.highest = sequence - 1
            self.link = Link(sequence - 1, previous)

    def _open(self, sequence: int, offset: int) -> Iterator[Wrong]:
        head = self.link.head if self.link.sequence == self.highest else None
        self._holes.append(_Hole(self.highest + 1, sequence - 1, head, offset))
        if len(self._holes) > HOLES_AT_MOST:
            yield self._holes.pop(0).gap()

    def _hole_with(self, sequence: int) -> _Hole | None:
        if sequence > self.highest:
            return None
        return next((one for one in self._holes if one.first <= sequence <= one.last), None)

    def _fill(self, hole: _Hole, link: Link) -> None:
        at = self._holes.index(hole)
        before = hole._replace(last=link.sequence - 1)
        behind = hole._replace(first=link.sequence + 1, head=link.head)
        self._holes[at : at + 1] = [one for one in (before, behind) if one.first <= one.last]


def _unlinked(sequence: int, offset: int) -> Wrong:
    what = f"sequence {sequence} does not name the hash of the record before it"
    return Wrong(Kind.UNLINKED, what, offset)
