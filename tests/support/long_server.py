"""A `GET /events` with very many rows: sorted, complete, quick to answer, live.

For what a walk costs and for what it does with 200,000 rows; what can go wrong is the business of
`tests.support.generated_server`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Literal

from streamer.flatfile.models import Event
from streamer.flatfile.pages import Page
from tests.support.generated_server import ORIGIN, at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from streamer.flatfile.listing import PageRequest

Direction = Literal["oldest", "newest"]


class LongServer:
    """Lists events that become visible when they are created.

    Attributes:
        now_s: Simulated seconds; each request takes `latency_s`.
        requests: How many have been answered.
    """

    def __init__(
        self, direction: Direction, cap: int, created_s: Iterable[float], latency_s: float = 0.05
    ) -> None:
        self.now_s = 0.0
        self.requests = 0
        self._direction = direction
        self._cap = cap
        self._created_s = sorted(created_s)
        self._latency_s = latency_s

    def visible(self) -> list[str]:
        """Return the ids of everything that can be listed by now."""
        return [f"e{place}" for place in range(bisect_right(self._created_s, self.now_s))]

    async def fetch(self, request: PageRequest) -> Page:
        """Answer one page request."""
        self.requests += 1
        self.now_s += self._latency_s
        end = bisect_right(self._created_s, self.now_s)
        since = request.since
        since_s = float("-inf") if since is None else (since - ORIGIN).total_seconds()
        begin = bisect_left(self._created_s, since_s)
        size = min(request.size, self._cap)
        first = (request.number - 1) * size
        if self._direction == "oldest":
            places = range(begin + first, min(end, begin + first + size))
        else:
            places = range(end - 1 - first, max(begin - 1, end - 1 - first - size), -1)
        rows = [Event(id=f"e{place}", topic="workbook:updated", created_at="") for place in places]
        times: list[datetime | None] = [at(self._created_s[place]) for place in places]
        return Page([*rows], times, at(self.now_s).replace(microsecond=0), 1000 * len(rows))
