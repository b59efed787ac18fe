"""One budget in bytes for the captured pages of the whole process.

Reserved before a page is asked for, given back once its events are committed: so that polling stops
when Kafka is slow, however many environments there are.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Buffer:
    """Bytes that may be held; a first-come, first-served queue.

    Giving back never waits, so that it cannot be cancelled half-way. One holder at a time may go
    beyond the limit, by what a single look takes: where many looks hold pages and all need more,
    none would otherwise get on.

    Attributes:
        held_bytes: How many are held now.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.held_bytes = 0
        self._limit = limit_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._extending: deque[tuple[int, object, asyncio.Future[None]]] = deque()
        self._overdrawn_by: object | None = None

    def has_room(self, size_bytes: int) -> bool:
        """Whether `reserve` would not wait."""
        return not self._waiting and not self._extending and self._fits(size_bytes)

    async def reserve(self, size_bytes: int) -> None:
        """Wait until there is room. What is larger than the whole budget passes alone."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        await self._wait(turn, size_bytes)

    async def extend(self, size_bytes: int, holder: object) -> None:
        """Hold more in the middle of a look: before all that begin, and beyond the limit in turn.

        Args:
            size_bytes: How much more.
            holder: Whose turn it is, until `end_overdraft`.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._extending.append((size_bytes, holder, turn))
        await self._wait(turn, size_bytes)

    def end_overdraft(self, holder: object) -> None:
        """Let another one go beyond the limit, if it was this one's turn."""
        if self._overdrawn_by is holder:
            self._overdrawn_by = None
            self._admit()

    def adjust(self, change_bytes: int) -> None:
        """Hold more, or less, than was reserved, without waiting."""
        self.held_bytes += change_bytes
        self._admit()

    def release(self, size_bytes: int) -> None:
        """Give back."""
        self.adjust(-size_bytes)

    async def _wait(self, turn: asyncio.Future[None], size_bytes: int) -> None:
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # Its turn came at the same moment.
                self.held_bytes -= size_bytes
            self._admit()
            raise

    def _admit(self) -> None:
        self._admit_extensions()
        while self._waiting and not self._extending:
            size_bytes, turn = self._waiting[0]
            if not turn.done():
                if not self._fits(size_bytes):
                    return
                self.held_bytes += size_bytes
                turn.set_result(None)
            self._waiting.popleft()

    def _admit_extensions(self) -> None:
        for entry in list(self._extending):
            size_bytes, holder, turn = entry
            if not turn.done():
                if not self._fits(size_bytes):
                    if self._overdrawn_by not in {None, holder}:
                        continue
                    self._overdrawn_by = holder
                self.held_bytes += size_bytes
                turn.set_result(None)
            self._extending.remove(entry)

    def _fits(self, size_bytes: int) -> bool:
        return self.held_bytes == 0 or self.held_bytes + size_bytes <= self._limit
