"""Pages that follow one another without a gap, while rows appear and vanish between them.

A stretch is read by rising page number under one `since`. Rows that appear then only repeat rows;
rows that vanish are noticed, because each page must begin strictly before (in the listing's order)
the last `createdAt` that was read. So all rows of that instant are on one page, whatever the order
among equals, and whatever was visible all along has been on a page.

Out of reach of that rule are instants with more rows than a page: they are crossed by plain numbers
and crossed again until that brings nothing new.
"""

from __future__ import annotations

from functools import partial
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Final, Generic

from streamer.flatfile.listing import T
from streamer.flatfile.server_profile import Order

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from streamer.flatfile.reader import Reader, Sighting

QUIET_CROSSINGS: Final = 3
"""Of a large instant, once crossing it again has brought something, or rows vanished meanwhile."""


def place(begin: int, limit: int) -> tuple[int, int]:
    """Return number and size of the page that begins at or before a row and reaches furthest.

    Args:
        begin: The row's place in the listing, from 0.
        limit: Most rows of a page; at least half of that is asked for.
    """
    reach, number, size = 0, 1, 1
    for candidate in range(limit, (limit - 1) // 2, -1):
        if begin + candidate <= reach:
            break
        pages = begin // candidate + 1
        if pages * candidate > reach:
            reach, number, size = pages * candidate, pages, candidate
    return number, size


class Stretch(Generic[T]):
    """A run through a listing, from one page to its end or to where the caller stops.

    What it says holds for the rows behind the first instant of its first page, in the listing's
    order; if that page is page 1, for all.

    Attributes:
        since: The lower bound that all its pages share.
        last: The page that was read last.
        open_at: The first `createdAt`, in the listing's order, of which something may be left to
            read: of the last row, or an instant before it that must be crossed again.
        settled: The furthest `createdAt` of which nothing is left to read; None: none yet.
        behind_first_at: The first `createdAt` behind the one that the stretch begins with.
        pages: How many have been read.
    """

    def __init__(
        self, reader: Reader[T], since: datetime | None, first: Sighting, order: Order
    ) -> None:
        rising = order is Order.OLDEST_FIRST
        self._before: Callable[[datetime, datetime], bool] = lt if rising else gt
        self._not_after: Callable[[datetime, datetime], bool] = le if rising else ge
        self._reader = reader
        self._is_open = first.offset > 0
        self._turn = 0
        self.since = since
        self.pages = 1
        self._crossed_at: datetime | None = None
        self.settled: datetime | None = None
        self.behind_first_at: datetime | None = None
        self.last = first
        self._first_at = first.times[0]
        self._last_at = first.times[-1]
        self._settle()

    @property
    def ended(self) -> bool:
        """Whether the end of the listing was reached, and nothing must be read again."""
        return self.last.last and self._crossed_at is None

    @property
    def open_at(self) -> datetime:
        """See above."""
        return self._crossed_at or self._last_at

    async def follow(self) -> AsyncGenerator[None, None]:
        """Read on to the end of the listing; yields after each page."""
        while not self.ended:
            number, size = place(self._turn, self._reader.limit)
            if number * size > self.last.end:
                admits = self._not_after if self._is_open else self._before
                await self._advance(self._turn, admits, self._last_at)
                self._settle()
                yield
                continue
            async for _ in self._cross():
                yield

    async def _cross(self) -> AsyncGenerator[None, None]:
        """Read all of an instant that does not end on the page that begins before it."""
        instant, turn = self._last_at, self._turn
        self._crossed_at = instant
        brought = instant in self.last.news
        quiet, needed, again = 0, 1, False
        while True:
            while not self.last.last and self._not_after(self._last_at, instant):
                if await self._advance_within(instant):
                    needed = QUIET_CROSSINGS
                brought |= instant in self.last.news
                yield
            if again and brought:
                needed = QUIET_CROSSINGS
            quiet = 0 if brought else quiet + 1
            if self._is_open or quiet >= needed:
                break
            again = True
            await self._advance(turn, self._before, instant)
            brought = instant in self.last.news
            yield
        self._crossed_at = None
        self._go_to(instant)
        self._settle()

    async def _advance_within(self, instant: datetime) -> bool:
        """Read the next page of a large instant, beginning with the last row that was read.

        Returns:
            Whether it begins behind all that was read: rows vanished, and may have hidden others.
        """
        end = self.last.end
        number, size = place(end - 1, self._reader.limit)
        if number * size <= end:  # Pages of one or two rows cannot overlap; none is the end.
            self._take(await self._reader.read_placed(self.since, partial(place, end)))
            return False
        before = set(self.last.identities)
        await self._advance(end - 1, self._not_after, instant)
        return before.isdisjoint(self.last.identities)

    async def _advance(
        self, begin: int, admits: Callable[[datetime, datetime], bool], bound: datetime
    ) -> None:
        """Read the page that begins at or before a row; from further back where rows vanished.

        Ends: going back doubles, and page 1 is always good to go on from.
        """
        back = 0
        while True:
            placed = partial(place, max(0, begin - back))
            sighting = await self._reader.read_placed(self.since, placed)
            if sighting.offset == 0 or (sighting.times and admits(sighting.times[0], bound)):
                break
            back = max(2 * back, self._reader.limit // 2, 1)
        self._take(sighting)

    def _take(self, sighting: Sighting) -> None:
        self.pages += 1
        self.last = sighting
        if sighting.times:
            self._last_at = sighting.times[-1]

    def _settle(self) -> None:
        """Work out what is complete now, and from where on the next page must begin."""
        page = self.last
        if not page.times:
            return
        if self.behind_first_at is None:
            behind = (at for at in page.times if self._before(self._first_at, at))
            self.behind_first_at = next(behind, None)
        others = page.times.index(self._last_at)
        if others:
            self._is_open = False
            self._turn = page.offset + others - 1
            self._go_to(page.times[others - 1])
        elif page.offset == 0:
            self._turn = 0
        else:
            self._turn = page.end - 1 if self._is_open else page.offset - 1
        if page.last:
            self._go_to(self._last_at)

    def place_of(self, moment: datetime) -> int:
        """Return where on the last page the rows that are not before `moment` begin."""
        times = self.last.times
        return self.last.offset + sum(self._before(at, moment) for at in times)

    def _go_to(self, moment: datetime) -> None:
        if self.settled is None or self._before(self.settled, moment):
            self.settled = moment
