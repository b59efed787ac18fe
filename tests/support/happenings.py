"""What happens in a generated history: a backlog, live and late events, bursts, disappearances."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from tests.support.generated_server import Fact, GeneratedServer

if TYPE_CHECKING:
    import random

EXCLUDED_TOPIC: Final = "cron:hourly"
LATEST_S: Final = 39.0
"""By how much events are late at most."""


class Happenings:
    """Makes up the facts of one history."""

    def __init__(
        self, server: GeneratedServer, dice: random.Random, begin_s: float, end_s: float
    ) -> None:
        self._server = server
        self._dice = dice
        self._begin_s = begin_s
        self._duration_s = end_s - begin_s
        self._grid_s = dice.choice((0.001, 0.001, 0.4, 1.0, 3.0))
        self._late_share = dice.choice((0.0, 0.1, 0.3))
        self._gone_share = dice.choice((0.0, 0.0, 0.05, 0.3, 0.6))
        self._deleted_share = dice.choice((0.0, 0.1))
        self._excluded_share = dice.choice((0.0, 0.0, 0.2))
        self._numbers = itertools.count(1)
        purges = dice.choice((0, 10, 30))
        self._purges_s = [begin_s + dice.random() * self._duration_s for _ in range(purges)]
        self._purges_s.append(begin_s + dice.random() * 4)

    def make_up(self) -> None:
        """Let it all happen."""
        dice, begin_s, cap = self._dice, self._begin_s, self._server.reading.cap
        span_s = dice.choice((3.0, 30.0, 300.0, 2500.0))
        for _ in range(int(cap * dice.choice((0, 0.5, 3, 6, 12, 20)))):
            self._happen(begin_s - dice.random() * span_s, 0.0)
        for _ in range(min(int(self._duration_s * dice.choice((0, 0.5, 3, 8))), 12 * cap)):
            self._happen(begin_s + dice.random() * self._duration_s, self._lateness_s())
        for _ in range(dice.choice((0, 0, 0, 1, 1, 2))):
            self._burst(int(cap * dice.choice((0.8, 1.5, 4))))
        for _ in range(dice.choice((0, 0, 0, 3))):
            self._happen(begin_s + 86_400 * dice.choice((1, 20_000)), -1e12)

    def _lateness_s(self) -> float:
        dice = self._dice
        if dice.random() < self._late_share:
            return dice.random() * dice.choice((3.0, 20.0, LATEST_S))
        return dice.random() * 0.3

    def _burst(self, events: int) -> None:
        dice = self._dice
        burst_s = self._begin_s + (dice.random() - 0.4) * dice.choice((30, self._duration_s))
        latest_s = 8.0 if self._late_share else 0.0
        for _ in range(events):
            self._happen(burst_s, dice.choice((0.0, 0.0, dice.random() * latest_s)))

    def _happen(self, created_s: float, lateness_s: float) -> None:
        dice, server, grid_s = self._dice, self._server, self._grid_s
        created_s = round(round(created_s / grid_s) * grid_s, 3)
        if created_s < self._begin_s and server.reading.disorder == "by arrival":
            lateness_s = 0.0  # What had come late before a first read is out of reach: see `walk`.
        visible_s = created_s + lateness_s
        gone_s = deleted_s = float("inf")
        if dice.random() < self._gone_share:
            later = [purge_s for purge_s in self._purges_s if purge_s > visible_s]
            gone_s = dice.choice(later or [max(visible_s, self._begin_s) + dice.random() * 40])
        if dice.random() < self._deleted_share:
            deleted_s = max(visible_s, self._begin_s - 20) + dice.random() * 60
        topic = EXCLUDED_TOPIC if dice.random() < self._excluded_share else "workbook:updated"
        id_ = f"us_evt_{next(self._numbers):04d}"
        server.add(Fact(id_, created_s, visible_s, gone_s, deleted_s, topic))
