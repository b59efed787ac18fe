"""One budget in bytes for the captured pages of the whole process.

Reserved before a page is asked for, given back once its events are committed: so that polling stops
when Kafka is slow, however many environments there are.
"""

from __future__ import annotations

import asyncio


class Buffer:
    """Bytes that may be held; a first-come, first-served queue."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._freed = asyncio.Condition()

    async def reserve(self, size_bytes: int) -> None:
        """Wait until there is room. What is larger than the whole budget passes alone."""
        async with self._freed:
            await self._freed.wait_for(
                lambda: self._held == 0 or self._held + size_bytes <= self._limit
            )
            self._held += size_bytes

    def adjust(self, change_bytes: int) -> None:
        """Hold more, or less, than was reserved, without waiting."""
        self._held += change_bytes

    async def release(self, size_bytes: int) -> None:
        """Give back."""
        async with self._freed:
            self._held -= size_bytes
            self._freed.notify_all()
