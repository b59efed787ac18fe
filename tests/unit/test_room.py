"""What environments hold of one buffer between them: bounded, and none waits for ever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from streamer.capture.buffer import Buffer
from streamer.capture.room import HELD_A_BYTE, PAGE_BYTES, Room
from streamer.flatfile.pages import Page
from tests.support.virtual_loop import run_virtually

LIMIT_BYTES = 4 * PAGE_BYTES
STRETCH_PAGES = 8
LOOKS = 20


class Look:
    """A look that holds eight pages before it captures any, as one at a newest-first listing."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.room = Room(buffer)
        self.most_bytes = 0
        self._pending_bytes = 0

    async def live(self, stretches: int) -> None:
        """Read so many stretches; each commits while the next one is read."""
        for _ in range(stretches):
            for _ in range(STRETCH_PAGES):
                reserved = await self.room.reserve(self._settle)
                await asyncio.sleep(0.1)
                self.room.take(Page([], [], datetime.now(UTC), PAGE_BYTES // HELD_A_BYTE), reserved)
                self.most_bytes = max(self.most_bytes, self.buffer.held_bytes)
            held_bytes = self.room.capture()
            await self._settle()
            self._pending_bytes = held_bytes
        await self._settle()

    async def _settle(self) -> None:
        held_bytes, self._pending_bytes = self._pending_bytes, 0
        if held_bytes:
            await asyncio.sleep(0.2)
            self.room.release(held_bytes)


def test_many_long_looks_at_once_stay_within_the_budget_and_one_of_them() -> None:
    """All come to their end; together they hold the limit and the pages of one look at most."""

    async def scene() -> None:
        buffer = Buffer(LIMIT_BYTES)
        looks = [Look(buffer) for _ in range(LOOKS)]
        async with asyncio.timeout(600):
            await asyncio.gather(*(look.live(3) for look in looks))
        assert buffer.held_bytes == 0
        most_bytes = max(look.most_bytes for look in looks)
        assert most_bytes <= LIMIT_BYTES + STRETCH_PAGES * PAGE_BYTES

    run_virtually(scene())


def test_look_that_ends_early_lets_the_next_one_beyond_the_limit() -> None:
    """A look that fails or is cancelled beyond the limit gives back what it held, and its turn."""

    async def scene() -> None:
        buffer = Buffer(LIMIT_BYTES)
        first, second = Look(buffer), Look(buffer)
        lives = [asyncio.ensure_future(look.live(1)) for look in (first, second)]
        await asyncio.sleep(0.35)
        lives[0].cancel()
        await asyncio.wait({lives[0]})
        first.room.clear()
        async with asyncio.timeout(10):
            await lives[1]
        assert buffer.held_bytes == 0

    run_virtually(scene())
