"""One budget in bytes for the captured pages of the whole process.

Reserved before a page is asked for, given back once its events are committed: so that polling stops
when Kafka is slow, however many environments there are.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Buffer:
    """Bytes that may be held; a first-come, first-served queue.

    Giving back never waits, so that it cannot be cancelled half-way.

    Attributes:
        held_bytes: How many are held now.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.held_bytes = 0
        self._limit = limit_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def has_room(self, size_bytes: int) -> bool:
        """Whether `reserve` would not wait."""
        return not self._waiting and self._fits(size_bytes)

    async def reserve(self, size_bytes: int) -> None:
        """Wait until there is room. What is larger than the whole budget passes alone."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # Its turn came at the same moment.
                self.held_bytes -= size_bytes
            self._admit()
            raise

    def adjust(self, change_bytes: int) -> None:
        """Hold more, or less, than was reserved, without waiting."""
        self.held_bytes += change_bytes
        self._admit()

    def release(self, size_bytes: int) -> None:
        """Give back."""
        self.adjust(-size_bytes)

    def _admit(self) -> None:
        while self._waiting:
            size_bytes, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(size_bytes):
                    return
                self.held_bytes += size_bytes
                turn.set_result(None)
            self._waiting.popleft()

    def _fits(self, size_bytes: int) -> bool:
        return self.held_bytes == 0 or self.held_bytes + size_bytes <= self._limit
