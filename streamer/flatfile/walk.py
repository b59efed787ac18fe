"""The walk through `GET /events`, which promises no order, no page size and no stable pages.

Pure: pages come through a function, and a sieve knows what was handed out before. Handing a row out
is always safe; only `Batch.proved`, which becomes the watermark, needs an argument. It is a
different one for each order, and the order is doubted on every page: one row out of order, and the
look goes on as if there were none.

* Oldest first: page by page, proved as far as nothing is left to read.
* Newest first: a short listing at once, a long one in stretches from its far end.
* No order: all of it, until a pass brings nothing that was there when the look began.

Limits. A listing that looks sorted for eight pages and is not (grouped by space, say, or in order
of arrival with rows that had come late) can hide rows from a first read, whose `since` follows;
sweeps keep theirs. Without an order that is the same for every page, or where answers are so large
that pages have one or two rows, rows that vanish while we read can hide others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from streamer.flatfile.listing import Batch, FetchPage, Scope, Sieve, T, whole_second_before
from streamer.flatfile.newest_first import newest_first
from streamer.flatfile.reader import OrderDoubtedError, Reader, Sighting
from streamer.flatfile.server_profile import Order
from streamer.flatfile.stretch import Stretch, place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from streamer.flatfile.server_profile import ServerProfile

FOLLOW_AFTER_PAGES: Final = 8
"""Pages of a stretch after which `since` may follow, the oldest first."""

REREAD_SHARE: Final = 8
"""`since` follows once at most one in so many rows would be read again."""

MOST_PASSES: Final = 12
"""Over a listing without an order; then the look ends unproved, and the next one begins anew."""

_ROUNDING: Final = timedelta(milliseconds=500)

_FOLLOWED_BEHIND: Final = timedelta(seconds=3)
"""`since` follows at most this far behind: up to 2 s for whole seconds, 0.5 s for rounding."""


async def walk(
    fetch: FetchPage, profile: ServerProfile, scope: Scope, sieve: Sieve[T]
) -> AsyncGenerator[Batch[T], None]:
    """Read everything in `scope`, and say how far that is proved."""
    reader = Reader(fetch, profile, sieve, thorough=scope.proved is None)
    while True:
        try:
            async with aclosing(_walk_once(reader, scope)) as batches:
                async for batch in batches:
                    yield batch
            return
        except OrderDoubtedError:
            yield Batch(reader.take(), None, reader.begun_at)


async def _walk_once(reader: Reader[T], scope: Scope) -> AsyncGenerator[Batch[T], None]:
    since = None if scope.start is None else whole_second_before(scope.start)
    reader.going_by = reader.order
    first = await _near_the_end(reader, since, scope) or await reader.first(since)
    if first.last and first.offset == 0:
        newest = max(first.times, default=None)
        yield reader.complete(newest, listed=first.end)
        return
    batches: AsyncGenerator[Batch[T], None]
    reader.going_by = reader.order
    match reader.order:
        case Order.OLDEST_FIRST:
            batches = _oldest_first(reader, since, first, scope)
        case Order.NEWEST_FIRST:
            batches = newest_first(reader, since, first, scope)
        case Order.UNKNOWN | Order.NONE:
            batches = _in_no_order(reader, since, first)
    async with aclosing(batches):
        async for batch in batches:
            yield batch


async def _near_the_end(reader: Reader[T], since: datetime | None, scope: Scope) -> Sighting | None:
    """Go straight to the end of a listing that was long a moment ago, the oldest first.

    Everything behind `scope.proved` is then on this page or behind it, if the page begins no later.
    """
    if scope.proved is None or reader.order is not Order.OLDEST_FIRST or not reader.trusts_order:
        return None
    if scope.listed <= reader.limit:
        return None
    placed = partial(place, scope.listed - reader.limit // 2)
    page = await reader.read_placed(since, placed)
    return page if page.times and page.times[0] <= scope.proved else None


async def _oldest_first(
    reader: Reader[T], since: datetime | None, first: Sighting, scope: Scope
) -> AsyncGenerator[Batch[T], None]:
    begun_at = reader.begun_at
    reader.thorough |= first.offset == 0
    while True:
        stretch = Stretch(reader, since, first, Order.OLDEST_FIRST)
        recent = _Recent()
        async with aclosing(stretch.follow()) as pages:
            while True:
                if stretch.ended:
                    reader.trust_order()
                    yield reader.complete(stretch.settled, listed=stretch.last.end)
                    return
                settled = stretch.settled if reader.trusts_order else None
                if begun_at and settled and settled > begun_at:
                    yield reader.complete(settled, more=True)
                    return
                yield Batch(reader.take(), settled, begun_at)
                recent.add(stretch.last.times)
                since = (
                    stretch.since if scope.steady else _since_to_follow(stretch, recent, begun_at)
                )
                if since != stretch.since:
                    break
                await anext(pages, None)
        first = await reader.first(since)
        if not first.times:
            yield reader.complete(None)
            return


class _Recent:
    """The times of the last pages of a stretch, to count what would be read again."""

    def __init__(self) -> None:
        self._pages: deque[list[datetime]] = deque()

    def add(self, times: list[datetime]) -> None:
        if not times:
            return
        self._pages.append(times)
        while self._pages[0][-1] < times[-1] - _FOLLOWED_BEHIND:
            self._pages.popleft()

    def count_from(self, moment: datetime) -> int:
        return sum(len(times) - bisect_left(times, moment) for times in self._pages)


def _since_to_follow(
    stretch: Stretch[T], recent: _Recent, begun_at: datetime | None
) -> datetime | None:
    """Return a later `since` to go on with, if that reads little again; else the present one.

    Never beyond the look's beginning: rows from the future stand at the end of the listing.
    """
    if stretch.pages < FOLLOW_AFTER_PAGES:
        return stretch.since
    newest = stretch.open_at if begun_at is None else min(stretch.open_at, begun_at)
    since = whole_second_before(newest)
    if stretch.since is not None and since <= stretch.since:
        return stretch.since
    again = recent.count_from(since - _ROUNDING)
    return since if again * REREAD_SHARE <= stretch.last.end else stretch.since


async def _in_no_order(
    reader: Reader[T], since: datetime | None, first: Sighting
) -> AsyncGenerator[Batch[T], None]:
    """Read everything, again and again, until nothing comes that was there when it began.

    Within a pass each page begins with a row that the pass has met, so that rows that vanish are
    noticed wherever the order, whatever it is, is the same for every page.
    """
    begun_at = reader.begun_at
    page = first
    for _ in range(MOST_PASSES):
        met: set[int] = set()
        news, newest = False, None
        while True:
            met.update(page.identities)
            news |= any(begun_at is None or moment <= begun_at for moment in page.news)
            old = [moment for moment in page.times if begun_at is None or moment <= begun_at]
            newest = max([*old, newest] if newest else old, default=None)
            yield Batch(reader.take(), None, begun_at)
            if page.last:
                break
            if reader.order in {Order.OLDEST_FIRST, Order.NEWEST_FIRST}:
                raise OrderDoubtedError
            page = await _next_met(reader, since, page.end, met)
        if not news:
            yield reader.complete(newest)
            return
        page = await reader.first(since)
    yield Batch(reader.take(), None, begun_at, more=False)


async def _next_met(reader: Reader[T], since: datetime | None, end: int, met: set[int]) -> Sighting:
    """Read the page behind `end`, or one further back if rows have vanished."""
    back = 0

    def placed(limit: int) -> tuple[int, int]:
        number, size = place(max(0, end - 1 - back), limit)
        # Pages of one or two rows cannot overlap.
        return (number, size) if number * size > end or back else place(end, limit)

    while True:
        page = await reader.read_placed(since, placed)
        if page.offset in {0, end}:
            return page
        if page.times and page.identities[0] in met:
            return page
        back = max(2 * back, reader.limit // 2, 1)
