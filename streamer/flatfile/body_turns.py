"""Whose large body is read on: one at a time, so that no more than one is in memory.

A body that waits for another one is late through no fault of its own, nor of the network's: while
it waits its time-outs stand still.
"""

from __future__ import annotations

import asyncio
import heapq
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from streamer.flatfile.budget import Priority


class BodyTurns:
    """One turn, which goes around by priority, and in order of arrival within one."""

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    @asynccontextmanager
    async def hold(self, priority: Priority, *limits: asyncio.Timeout) -> AsyncIterator[None]:
        """Wait for the turn, and hold it.

        Args:
            priority: What the body is for.
            limits: Time-outs around this that stand still during the wait.
        """
        with _standing_still(limits):
            await self._take(priority)
        try:
            yield
        finally:
            self._pass_on()

    async def _take(self, priority: Priority) -> None:
        if not self._is_taken:
            self._is_taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # Given in the same moment: the next one may have it.
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # Otherwise it was cancelled while it waited.
                turn.set_result(None)
                return
        self._is_taken = False


@contextmanager
def _standing_still(limits: tuple[asyncio.Timeout, ...]) -> Iterator[None]:
    clock = asyncio.get_running_loop().time
    begun_at = clock()
    ends_at = [limit.when() for limit in limits]
    for limit in limits:
        limit.reschedule(None)
    try:
        yield
    finally:
        waited_s = clock() - begun_at
        for limit, end_at in zip(limits, ends_at, strict=True):
            limit.reschedule(None if end_at is None else end_at + waited_s)
