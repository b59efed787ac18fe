"""One rate budget for the account: who may send a request, and when.

A token bucket whose rate halves when Flatfile says 429 and recovers slowly (AIMD). Whoever waits is
served by priority, and in order of arrival within one. Nothing is asked over and over: one timer is
set for the moment at which the next request may leave.

The rate is ours alone to guess, because Flatfile publishes no limits. A burst of requests that all
meet the same limit halves it once: those sent before the last halving teach nothing new.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

START_RATE: Final = 200.0
"""Requests a second, at first and at most: more than a worker with 500 environments ever needs."""

FLOOR_RATE: Final = 0.2
"""Requests a second, at least: one in five seconds still tells when the limit is gone."""

BURST: Final = 50.0
"""Requests that may leave at once after a pause."""

RECOVERY_PER_S: Final = 0.2
"""By how much the rate rises each second: minutes, not seconds, until the limit is tried again."""

LONGEST_PAUSE_S: Final = 60.0
"""The most that a `Retry-After` is believed."""


class Priority(IntEnum):
    """What a request is for; the lower number goes first."""

    LIVE = 0
    SWEEP = 1
    INVENTORY = 2
    DEEP_SWEEP = 3


class Timer(Protocol):
    """A clock that calls back: an event loop, or a double of one in tests."""

    def time(self) -> float:
        """Return seconds since some moment."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Call back at that time."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """Permission for one request.

    Attributes:
        granted_at: On the budget's clock.
    """

    granted_at: float


class RateBudget:
    """The requests that one worker may send to Flatfile."""

    def __init__(self, *, rate: float = START_RATE, timer: Timer | None = None) -> None:
        """Create a budget.

        Args:
            rate: Requests a second, at first and at most.
            timer: The running event loop if None.
        """
        self._timer = timer
        self._ceiling = rate
        self._rate = rate
        self._tokens = self._burst
        self._counted_at: float | None = None
        self._paused_until = float("-inf")
        self._halved_at = float("-inf")
        self._waiting: dict[Priority, deque[asyncio.Future[Turn]]] = {
            priority: deque() for priority in Priority
        }
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def rate(self) -> float:
        """Requests a second that are allowed at present."""
        return self._rate

    async def acquire(self, priority: Priority) -> Turn:
        """Wait until one request may be sent. A waiter that is cancelled takes nothing along."""
        turn: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append(turn)
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._tokens += 1  # Granted in the same moment: the next one may have it.
                self._serve()
            raise

    def throttled(self, turn: Turn, retry_after_s: float | None) -> None:
        """Learn that Flatfile answered 429 to the request of this turn."""
        self._count()
        now = self._now()
        if turn.granted_at > self._halved_at:
            self._halved_at = now
            self._rate = max(FLOOR_RATE, self._rate / 2)
        self._tokens = min(self._tokens, 0.0)
        pause_s = min(max(retry_after_s or 0.0, 0.0), LONGEST_PAUSE_S)
        self._paused_until = max(self._paused_until, now + pause_s)
        self._serve()

    @property
    def _burst(self) -> float:
        return max(1.0, min(BURST, self._rate))

    def _now(self) -> float:
        return (self._timer or asyncio.get_running_loop()).time()

    def _count(self) -> None:
        """Bring rate and tokens up to now; nothing grows while Flatfile told us to wait."""
        now = self._now()
        since = now if self._counted_at is None else self._counted_at
        grown_s = max(0.0, now - max(since, min(self._paused_until, now)))
        self._counted_at = now
        self._tokens = min(self._burst, self._tokens + grown_s * self._rate)
        self._rate = min(self._ceiling, self._rate + grown_s * RECOVERY_PER_S)

    def _serve(self) -> None:
        self._count()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        now = self._now()
        while (queue := self._first_queue()) is not None:
            if now < self._paused_until or self._tokens < 1 - 1e-9:
                due_at = max(now, self._paused_until) + max(0.0, 1 - self._tokens) / self._rate
                self._alarm = (self._timer or asyncio.get_running_loop()).call_at(
                    due_at, self._serve
                )
                return
            self._tokens -= 1
            queue.popleft().set_result(Turn(granted_at=now))

    def _first_queue(self) -> deque[asyncio.Future[Turn]] | None:
        for queue in self._waiting.values():
            while queue and queue[0].done():
                del queue[0]  # Cancelled while it waited.
            if queue:
                return queue
        return None
