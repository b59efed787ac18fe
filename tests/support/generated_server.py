"""A `GET /events` made up from a seed: any order, any `since`, any cap, and rows that come and go.

Drives the walk without a socket, on a clock of its own. Shares nothing with the product but the
types of what is asked and answered.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from streamer.errors import AnswerTooLargeError, FlatfileUnavailableError
from streamer.flatfile.models import Event
from streamer.flatfile.pages import Page

if TYPE_CHECKING:
    from streamer.flatfile.listing import PageRequest

Order = Literal["oldest", "newest", "none"]
Disorder = Literal["shuffled", "oldest first by group", "newest first by group", "by arrival"]
Bound = Literal["inclusive", "exclusive"]
Resolution = Literal["milliseconds", "cut to seconds", "rounded to seconds"]

MOST_REQUESTS = 20_000
"""No history needs more (the longest of 51,500 took 6,388): a walk that does, does not end."""

ORIGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class EndlessError(Exception):
    """The walk asks and asks."""


def at(seconds: float) -> datetime:
    """Return an instant of the simulated time, in whole milliseconds."""
    return ORIGIN + timedelta(milliseconds=round(seconds * 1000))


@dataclass(slots=True)
class Fact:
    """What truly happened: one event, whether anyone saw it or not. Times are simulated seconds.

    Attributes:
        undated: The answers do not say when it was created.
    """

    id: str
    created_s: float
    visible_s: float
    gone_s: float = float("inf")
    deleted_s: float = float("inf")
    topic: str = "workbook:updated"
    size_bytes: int = 300
    undated: bool = False
    created_at: datetime = field(init=False)
    key: bytes = field(init=False)
    plain: Event = field(init=False)
    deleted: Event = field(init=False)

    def __post_init__(self) -> None:
        self.created_at = at(self.created_s)
        self.key = blake2b(self.id.encode(), digest_size=8).digest()
        stamp = self.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.plain = Event(id=self.id, topic=self.topic, created_at=stamp)
        self.deleted = Event(
            id=self.id, topic=self.topic, created_at=stamp, deleted_at=f"{self.deleted_s}"
        )

    def is_visible(self, first_s: float, last_s: float) -> bool:
        """Whether it was listed all the time from one moment to another."""
        return self.visible_s <= first_s and last_s < self.gone_s


@dataclass(frozen=True, slots=True)
class ServerReading:
    """One reading of what the API does not promise."""

    order: Order
    bound: Bound
    resolution: Resolution
    cap: int
    disorder: Disorder = "shuffled"


class GeneratedServer:
    """Answers page requests; time passes, and rows come and go, between any two of them.

    Attributes:
        facts: All that was ever created.
        now_s: Simulated seconds.
        requests: How many have been answered.
        refused: How many of them with too much.
        answered_s: When the rows of the last answer were chosen.
        most_bytes: Larger answers are refused, but for one of a single row.
        shown: The ids on the answers of the present look, and whether they were deleted then.
    """

    def __init__(self, reading: ServerReading, seed: int) -> None:
        self.reading = reading
        self.random = random.Random(seed)  # noqa: S311
        self.facts: list[Fact] = []
        self.now_s = 0.0
        self.requests = 0
        self.refused = 0
        self.latency_s = 0.2
        self.fault_share = 0.0
        self.group_size = 100
        self.most_bytes = float("inf")
        self.shown: dict[str, bool] = {}
        self.answered_s = 0.0
        self._sorted: list[Fact] = []
        self._sorted_size = -1

    def add(self, fact: Fact) -> None:
        """Let something happen."""
        self.facts.append(fact)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds

    async def fetch(self, request: PageRequest) -> Page:
        """Answer one page request: the rows as they were a moment before `Date`."""
        self.requests += 1
        if self.requests > MOST_REQUESTS:
            raise EndlessError
        self.pass_time(self.random.random() * self.latency_s)
        if self.random.random() < self.fault_share:
            raise FlatfileUnavailableError(where="GET /events", what="503", next_step="Wait.")
        rows = self._rows(request)
        size_bytes = sum(fact.size_bytes for fact in rows)
        if len(rows) > 1 and size_bytes > self.most_bytes:
            self.refused += 1
            raise AnswerTooLargeError(where="GET /events", what="large", next_step="Ask for less.")
        when_s = self.now_s
        self.pass_time(self.random.random() * self.latency_s)
        events = [fact.deleted if fact.deleted_s <= when_s else fact.plain for fact in rows]
        for fact in rows:
            self.shown[fact.id] = fact.deleted_s <= when_s
        self.answered_s = when_s
        times = [None if fact.undated else fact.created_at for fact in rows]
        date = at(self.now_s).replace(microsecond=0)
        return Page([*events], times, date, size_bytes)

    def _rows(self, request: PageRequest) -> list[Fact]:
        now_s, listing = self.now_s, self._listing()
        found = [fact for fact in listing if fact.visible_s <= now_s < fact.gone_s]
        if request.since is not None:
            bound = (request.since - ORIGIN).total_seconds()
            inclusive = self.reading.bound == "inclusive"
            found = [
                fact
                for fact in found
                if (compared := self._compared(fact)) > bound or (inclusive and compared == bound)
            ]
        size = min(request.size, self.reading.cap)
        return found[(request.number - 1) * size : request.number * size]

    def _compared(self, fact: Fact) -> float:
        milliseconds = round(fact.created_s * 1000)
        if self.reading.resolution == "milliseconds":
            return milliseconds / 1000
        if self.reading.resolution == "cut to seconds":
            return milliseconds // 1000
        return (milliseconds + 500) // 1000

    def _listing(self) -> list[Fact]:
        if self._sorted_size != len(self.facts):
            self._sorted_size = len(self.facts)
            self._sorted = self._in_order()
        return self._sorted

    def _in_order(self) -> list[Fact]:
        by_time = sorted(self.facts, key=lambda fact: (fact.created_at, fact.key))
        match self.reading.order, self.reading.disorder:
            case "oldest", _:
                return by_time
            case "newest", _:
                return by_time[::-1]
            case _, "shuffled":
                return sorted(self.facts, key=lambda fact: fact.key)
            case _, "by arrival":
                return sorted(self.facts, key=lambda fact: (fact.visible_s, fact.key))
            case _, disorder:
                groups = len(self.facts) // self.group_size + 3
                return sorted(
                    by_time if disorder == "oldest first by group" else by_time[::-1],
                    key=lambda fact: fact.key[0] % groups,
                )
