"""What one listing of events matches, as positions that pages are cut from.

Three kinds, by cost: a stretch of one environment (nothing is computed but where it begins), all
environments merged by time, and, for whoever filters, a list of what matches.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from streamer.sandbox.dice import scramble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamer.sandbox.ledger import Shown
    from streamer.sandbox.timeline import Timeline


@dataclass(frozen=True, slots=True)
class EventQuery:
    """The query of `GET /events`, as the sandbox understood it."""

    size: int
    number: int
    since_ms: int | None = None
    environment_id: str | None = None
    space_id: str | None = None
    domain: str | None = None
    topic: str | None = None
    include_acknowledged: bool = False

    @property
    def has_filters(self) -> bool:
        """Whether every event must be looked at to know if it matches."""
        return bool(self.space_id or self.domain or self.topic) or not self.include_acknowledged

    def matches(self, timeline: Timeline, index: int) -> bool:
        """Tell whether an event passes the filters (`since` is no filter: it is a position)."""
        if not self.include_acknowledged and timeline.is_acknowledged(index):
            return False
        facets = timeline.facets(index)
        wanted = (self.topic, self.domain, self.space_id)
        return all(want is None or want == has for want, has in zip(wanted, facets, strict=True))


class View(Protocol):
    """An ordered listing of events."""

    def __len__(self) -> int:
        """How many events it has."""

    def rows(self, start: int, stop: int) -> Shown:
        """Return the events at positions `start` to `stop`."""


class StretchView:
    """One environment from a bound on, oldest or newest first."""

    def __init__(self, timeline: Timeline, bound_ms: int, *, newest_first: bool) -> None:
        self._timeline = timeline
        self._first = timeline.order.first_at(bound_ms)
        self._newest_first = newest_first

    def __len__(self) -> int:
        return len(self._timeline.order) - self._first

    def rows(self, start: int, stop: int) -> Shown:
        """Return the events at positions `start` to `stop`."""
        stop = min(stop, len(self))
        if self._newest_first:
            end = len(self._timeline.order)
            runs = self._timeline.order.runs(end - stop, end - start)
            return [(self._timeline, [run[::-1] for run in reversed(runs)])]
        return [
            (self._timeline, self._timeline.order.runs(self._first + start, self._first + stop))
        ]


class MergedView:
    """All environments from a bound on, merged by time.

    A page far from the first one costs a walk to it: whoever reads an account-wide backlog of
    millions is better served environment by environment.
    """

    def __init__(self, timelines: Sequence[Timeline], bound_ms: int, *, newest_first: bool) -> None:
        self._newest_first = newest_first
        self._parts: list[tuple[Timeline, int]] = []
        self._size = 0
        for timeline in timelines:
            newest_ms = timeline.order.last_ms()
            if newest_ms is None or newest_ms < bound_ms:
                continue
            first = timeline.order.first_at(bound_ms)
            self._parts.append((timeline, first))
            self._size += len(timeline.order) - first

    def __len__(self) -> int:
        return self._size

    def rows(self, start: int, stop: int) -> Shown:
        """Return the events at positions `start` to `stop`."""
        merged = heapq.merge(
            *(self._walk(place) for place in range(len(self._parts))), reverse=self._newest_first
        )
        return [
            (self._parts[place][0], [range(index, index + 1)])
            for _, place, index in islice(merged, start, stop)
        ]

    def _walk(self, place: int) -> Iterator[tuple[int, int, int]]:
        timeline, first = self._parts[place]
        step = 1000
        starts = range(first, len(timeline.order), step)
        for start in reversed(starts) if self._newest_first else starts:
            runs = timeline.order.runs(start, start + step)
            for run in reversed(runs) if self._newest_first else runs:
                for index in reversed(run) if self._newest_first else run:
                    yield timeline.created_ms(index), place, index


class ListedView:
    """A list of events, made by looking at every one, and as they were then."""

    def __init__(self, events: Sequence[tuple[Timeline, int]]) -> None:
        self._events = events

    @classmethod
    def of(cls, view: View, query: EventQuery, *, shuffled: bool) -> ListedView:
        """List what of a view passes the filters of a query.

        Args:
            view: What to look at.
            query: Whose filters.
            shuffled: Put them in an order that has nothing to do with time, but stays.
        """
        events = [
            (timeline, index)
            for timeline, runs in view.rows(0, len(view))
            for run in runs
            for index in run
            if not query.has_filters or query.matches(timeline, index)
        ]
        if shuffled:
            events.sort(key=lambda event: scramble(event[1] << 20 | event[0].number))
        return cls(events)

    def __len__(self) -> int:
        return len(self._events)

    def rows(self, start: int, stop: int) -> Shown:
        """Return the events at positions `start` to `stop`."""
        return [
            (timeline, [range(index, index + 1)]) for timeline, index in self._events[start:stop]
        ]
