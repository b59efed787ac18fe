"""When live events happen, and where: a schedule computed from the seed, without a timer.

Whoever asks (a request, a control call) is told what has become due since the last time, so an
event is visible exactly from its moment on, whether or not anything ran at that moment.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from streamer.sandbox.dice import number_of, scramble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PLAN: int = (1 << 28) - 1
"""Stands for an environment in the numbers that the plan draws from: none has it."""


def shares(count: int, *, equal: bool) -> list[float]:
    """Return how events are spread over environments: a few have most, unless all are equal."""
    weights = [1.0 if equal else (place + 1) ** -0.8 for place in range(count)]
    return [weight / sum(weights) for weight in weights]


def split(total: int, parts: Sequence[float]) -> list[int]:
    """Cut a number into whole parts that add up to it."""
    edges = [round(total * edge) for edge in accumulate(parts)]
    return [edge - before for before, edge in zip([0, *edges], edges, strict=False)]


class LivePlan:
    """Live events at a rate, each with its time and its environment's place in the shares.

    Event k happens somewhere in the k-th interval of `1 / rate` seconds.
    """

    def __init__(self, *, seed: int, start_ms: float) -> None:
        self._seed = seed
        self._start_ms = start_ms
        self._from = 0
        self._next = 0
        self._rate = 0.0
        self._edges: list[float] = []

    def change(self, now_ms: float, rate: float, parts: Sequence[float]) -> None:
        """Go on from here at another rate, or over other environments."""
        self._start_ms, self._from = now_ms, self._next
        self._rate = rate
        self._edges = list(accumulate(parts))

    def due(self, now_ms: float) -> Iterator[tuple[int, int, int]]:
        """Yield what has happened by now and was not yielded: time, place, 64 bits of chance."""
        while self._rate > 0 and self._edges:
            stirred = scramble(number_of(self._seed, _PLAN, self._next))
            after = self._next - self._from + (stirred & 0xFFFF) / 65536
            at_ms = int(self._start_ms + after * 1000 / self._rate)
            if at_ms > now_ms:
                return
            self._next += 1
            drawn = (stirred >> 16 & 0xFFFFFF) / (1 << 24) * self._edges[-1]
            yield at_ms, min(bisect_right(self._edges, drawn), len(self._edges) - 1), stirred
