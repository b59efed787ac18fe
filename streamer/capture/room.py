"""What one environment holds of the buffer: pages that were read, captures that are not committed.

A page is reserved before it is asked for. A look that holds pages already goes on as
`Buffer.extend` lets it: what it holds is given back only by its own end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamer.capture.buffer import Buffer
    from streamer.flatfile.pages import Page

PAGE_BYTES: Final = 6 * 1024 * 1024
"""What a page is taken for before the first one was seen."""

HELD_A_BYTE: Final = 3
"""Bytes that are held until the commit for each byte of a page: it, its records, their batches."""

HELD_A_ROW: Final = 4096
"""And for each of its rows: what is made of an event, and its record's headers, as objects."""


class Room:
    """One environment's share of the buffer, in bytes."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._page_bytes = PAGE_BYTES
        self._held_bytes = 0
        self._captured_bytes = 0

    async def reserve(self, settle: Callable[[], Awaitable[None]]) -> int:
        """Wait for room for one more page, and return how much that is.

        Args:
            settle: Gives back what waits for its commit: all would otherwise wait for what all hold
                until their next page is here.
        """
        size_bytes = self._page_bytes
        if self._held_bytes > self._captured_bytes:
            await self._buffer.extend(size_bytes, self)
        else:
            if not self._buffer.has_room(size_bytes):
                await settle()
            await self._buffer.reserve(size_bytes)
        self._held_bytes += size_bytes
        return size_bytes

    def take(self, page: Page, reserved_bytes: int) -> None:
        """Hold a page that has arrived in the place of what was reserved."""
        page_bytes = HELD_A_BYTE * page.size_bytes + HELD_A_ROW * len(page.rows)
        more_bytes = page_bytes - reserved_bytes
        self._buffer.adjust(more_bytes)
        self._held_bytes += more_bytes
        if page.rows:
            self._page_bytes = page_bytes

    def capture(self) -> int:
        """Count what was read since the last capture as the next one's, and return how much."""
        size_bytes = self._held_bytes - self._captured_bytes
        self._captured_bytes += size_bytes
        return size_bytes

    def release(self, captured_bytes: int) -> None:
        """Give back what a capture held."""
        self._captured_bytes -= captured_bytes
        self.give_back(captured_bytes)

    def give_back(self, read_bytes: int) -> None:
        """Give back what was reserved, or read, and not captured."""
        self._held_bytes -= read_bytes
        self._buffer.release(read_bytes)
        if not self._held_bytes:
            self._buffer.end_overdraft(self)

    def clear(self) -> None:
        """Give back all."""
        self._captured_bytes = 0
        self.give_back(self._held_bytes)
