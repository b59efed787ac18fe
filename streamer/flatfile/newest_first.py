"""The walk through a listing that shows the newest first.

A short one is read in one stretch. A long one is read from its far end, in stretches each of which
can be published, the oldest first, and proves what it has read: to gather all of it first would
take its size in memory, and start over after every crash.
"""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from streamer.flatfile.listing import Batch, Scope, T
from streamer.flatfile.server_profile import Order
from streamer.flatfile.stretch import Stretch, place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from streamer.flatfile.reader import Reader, Sighting

STRETCH_PAGES: Final = 8
"""Pages that are held at once; a listing of so many is short."""

COURTESY_PAGES: Final = 2
"""Pages that a fast poll reads of what is known already, for what came a little late."""

HELD_BYTES: Final = 32 * 1024 * 1024
"""Beyond this, what is held is handed out, in order or not."""


async def newest_first(
    reader: Reader[T], since: datetime | None, first: Sighting, scope: Scope
) -> AsyncGenerator[Batch[T], None]:
    """Read a listing whose `first` page is full: at once if it is short, else from its far end."""
    newest = first.times[0]
    stretch = Stretch(reader, since, first, Order.NEWEST_FIRST)
    async with aclosing(stretch.follow()) as pages:
        if scope.proved is not None:
            while not stretch.ended and stretch.pages < STRETCH_PAGES:
                if not reader.trusts_order:
                    break
                if stretch.open_at <= scope.proved and (
                    stretch.pages >= COURTESY_PAGES or not first.news
                ):
                    yield reader.complete(newest)
                    return
                await anext(pages, None)
        reader.thorough = True
        if stretch.ended or await reader.is_end(since, STRETCH_PAGES * reader.limit):
            async for _ in pages:
                if reader.held_bytes > HELD_BYTES:
                    yield Batch(reader.take(), None, reader.begun_at)
            reader.trust_order()
            yield reader.complete(newest)
            return
    async with aclosing(_from_the_far_end(reader, since)) as batches:
        async for batch in batches:
            yield batch


async def _from_the_far_end(
    reader: Reader[T], since: datetime | None
) -> AsyncGenerator[Batch[T], None]:
    """Read a long listing in stretches, each up to where the one before began.

    A stretch proves what is strictly older than its first row: of that one's instant, more may
    stand on the page before. The next stretch reads it whole.
    """
    held = STRETCH_PAGES * reader.limit
    begin = await _find_end(reader, since, held) - held
    frontier: datetime | None = None
    step, drift, before = held, 0, 0
    while True:
        page = await reader.read_placed(since, partial(place, max(0, begin)))
        if page.offset and not (page.is_placed and (frontier is None or page.times[0] > frontier)):
            begin, step = begin - step, step * 2
            continue
        if not page.times:
            yield reader.complete(None)
            return
        stretch = Stretch(reader, since, page, Order.NEWEST_FIRST)
        async with aclosing(stretch.follow()) as pages:
            while not stretch.ended and (frontier is None or stretch.open_at >= frontier):
                await anext(pages, None)
                if reader.held_bytes > HELD_BYTES:
                    yield Batch(reader.take(), None, reader.begun_at)
        newest = page.times[0]
        if page.offset == 0:
            yield reader.complete(newest)
            return
        proved = stretch.behind_first_at if reader.trusts_order else None
        yield Batch(reader.take(up_to=newest), proved, reader.begun_at)
        if frontier is not None:
            drift = max(0, stretch.place_of(frontier) - before)
        frontier, before, step = newest, page.offset, held
        begin = before + drift - held + reader.limit // 8


async def _find_end(reader: Reader[T], since: datetime | None, known: int) -> int:
    """Return a place a little behind the listing's last row, by asking for single rows.

    Args:
        reader: Reads them.
        since: Lower bound of the listing.
        known: A place where there is a row.
    """
    low, high = known, 2 * known
    while not await reader.is_end(since, high):
        low, high = high, 2 * high
    while high - low > known // 2:
        middle = (low + high) // 2
        if await reader.is_end(since, middle):
            high = middle
        else:
            low = middle
    return high
