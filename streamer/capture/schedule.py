"""When one environment is looked at next, and how widely.

Pure: the clock, monotonic and in seconds, is handed in, and so is chance. Only sweeps go by the
server's time, because `swept` survives a restart and the clock does not.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from streamer.capture.cursor import Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.capture.position import Position
    from streamer.config import CaptureSettings

BACKOFF_FACTOR: Final = 1.5
"""Each quiet look makes the next wait this much longer."""

JITTER: Final = 0.1
"""Share by which a wait is varied, so that 500 environments do not stay in step."""

LONGEST_RETRY_S: Final = 30.0
"""Between two attempts while a server or a network is gone: its return is seen within this."""

OVERDUE_SWEEPS: Final = 3
"""A sweep goes before live events once it is late by so many intervals: an environment that never
comes to rest is swept all the same."""


class Schedule:
    """The time-table of one environment."""

    def __init__(
        self,
        settings: CaptureSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Begin with a look that is due at once.

        Args:
            settings: Intervals and windows.
            clock: Seconds, monotonic.
            chance: From 0 to 1.
        """
        self._settings = settings
        self._clock = clock
        self._chance = chance
        self._wait_s = settings.interval
        self._failures = 0
        self._due_s = clock()
        self._wide_due_s = self._due_s
        self._server: tuple[datetime, float] | None = None

    @property
    def wait_s(self) -> float:
        """Seconds until the next look; 0 if it is due."""
        return max(0.0, self._due_s - self._clock())

    def next_look(self, position: Position) -> Look:
        """Return what kind of look to take now."""
        now = self._server_now()
        if position.polled is None or now is None:
            return Look.FAST
        overdue = self._overdue_s(position, now)
        if overdue > (0 if self._is_at_rest else OVERDUE_SWEEPS * self._settings.sweep_interval):
            return Look.SWEEP
        if self._clock() >= self._wide_due_s:
            return Look.WIDE
        return Look.FAST

    def looked(self, kind: Look, *, news: bool, more: bool, server_at: datetime | None) -> None:
        """Note that a look was completed.

        Args:
            kind: What it was.
            news: Whether it brought anything new.
            more: Whether it ended where there was more to read: the next is due at once.
            server_at: The server's time when it began.
        """
        settings = self._settings
        now_s = self._clock()
        self._failures = 0
        if server_at is not None:
            self._server = (server_at, now_s)
        if kind in {Look.WIDE, Look.SWEEP}:
            self._wide_due_s = now_s + settings.overlap / 2
        if more:
            self._wait_s = 0.0
        elif news:
            self._wait_s = settings.interval
        else:
            longer = max(self._wait_s, settings.interval) * BACKOFF_FACTOR
            self._wait_s = max(settings.interval, min(longer, settings.idle_interval))
        self._due_s = now_s + self._varied(self._wait_s)

    def failed(self, retry_after_s: float = 0.0) -> None:
        """Note that a look failed: wait, longer each time.

        Args:
            retry_after_s: What the server asked for.
        """
        self._failures += 1
        wait_s = self._settings.interval * 2.0 ** min(self._failures - 1, 16)
        wait_s = min(wait_s, LONGEST_RETRY_S)
        self._due_s = self._clock() + max(self._varied(wait_s), retry_after_s)

    def wake(self) -> None:
        """Look at once: something tells that there are news. Does not shorten a retry's wait."""
        if self._failures == 0:
            self._wait_s = self._settings.interval
            self._due_s = min(self._due_s, self._clock())

    def _varied(self, wait_s: float) -> float:
        return wait_s * (1 + JITTER * (2 * self._chance() - 1))

    def _server_now(self) -> datetime | None:
        if self._server is None:
            return None
        server_at, then_s = self._server
        return server_at + timedelta(seconds=self._clock() - then_s)

    @property
    def _is_at_rest(self) -> bool:
        return self._failures == 0 and self._wait_s > 0

    def _overdue_s(self, position: Position, now: datetime) -> float:
        if position.swept is None:
            return 0.0
        return (now - position.swept).total_seconds() - self._settings.sweep_interval
