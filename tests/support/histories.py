"""Histories made up from a seed: a server, a reader that dies and comes back, and what was true.

The reader is the product's cursor; the topic is a list that survives it. What must have come out is
worked out from what truly happened, and never from what the cursor says, except for where its looks
began.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, get_args

from streamer.capture.cursor import Cursor, Look
from streamer.capture.position import Position
from streamer.capture.seen import Remembered
from streamer.config import CaptureSettings
from streamer.errors import FlatfileUnavailableError
from streamer.flatfile.models import Event
from streamer.flatfile.server_profile import ServerProfile
from tests.support.generated_server import (
    Bound,
    Disorder,
    Fact,
    GeneratedServer,
    Order,
    Resolution,
    ServerReading,
    at,
)
from tests.support.happenings import EXCLUDED_TOPIC, Happenings

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime

    from streamer.capture.position import Capture, Reading
    from streamer.flatfile.listing import PageRequest, Scope
    from streamer.flatfile.pages import Page

R = TypeVar("R")

START_S: Final = 3000.0
READINGS: Final = tuple(itertools.product(get_args(Order), get_args(Bound), get_args(Resolution)))


def run(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine that never really waits, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value  # type: ignore[no-any-return]
    message = "a pure walk has nothing to wait for"
    raise AssertionError(message)


class KilledError(Exception):
    """The process dies here."""


class Published(NamedTuple):
    """One record of the topic."""

    offset: int
    reading: Reading


@dataclass(slots=True)
class Topic:
    """What survives the reader: records, and the checkpoint that was committed with the last."""

    records: list[Published] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    position: Position = field(default_factory=Position)
    tail: int = 0
    end: int = 0

    def append(self, readings: list[Reading], gap: int) -> int | None:
        """Add records, behind some of other environments; return the first one's offset."""
        if not readings:
            return None
        first = self.end = self.end + gap
        for reading in readings:
            self.records.append(Published(self.end, reading))
            self.ids.add(reading.row.id or "")
            self.end += 1
        return first


@dataclass(frozen=True, slots=True)
class Traits:
    """What made a history hard; the shares of these are asserted."""

    combination: tuple[str, str, str]
    long_walk: bool
    late: bool
    killed_in_walk: bool
    large_instant: bool


class History:
    """One server and one reader, from a seed."""

    def __init__(self, seed: int, undated_share: float = 0.0) -> None:
        self.random = random.Random(seed)  # noqa: S311
        dice = self.random
        order, bound, resolution = READINGS[seed % len(READINGS)]
        cap = dice.choice((10, 12, 17, 25, 40))
        self.page_size = dice.choice((1000, 1000, 30, 10))
        disorder = dice.choice(get_args(Disorder))
        reading = ServerReading(order, bound, resolution, cap, disorder)
        self.server = GeneratedServer(reading, seed)
        self.server.group_size = 3 * min(cap, self.page_size)
        self.server.now_s = START_S
        self.server.latency_s = dice.choice((0.02, 0.2, 0.6))
        self.window_s = dice.choice((40.0, 80.0))
        self.floor = at(START_S - dice.choice((5.0, 100.0))) if dice.random() < 0.15 else None
        self.kill_share = dice.choice((0.0, 0.01, 0.03))
        self.fault_share = dice.choice((0.0, 0.0, 0.02))
        self.end_s = START_S + dice.choice((15.0, 40.0, 100.0))
        self.topic = Topic()
        self._profile = ServerProfile(self.page_size)
        self._long_walk = self._in_walk = self._killed_in_walk = False
        self._look_began_s = 0.0
        self._look_requests = 0
        Happenings(self.server, dice, START_S, self.end_s).make_up()
        if undated_share:
            for fact in self.server.facts:
                fact.undated = dice.random() < undated_share
        self.by_id = {fact.id: fact for fact in self.server.facts}
        self.cursor = self._born()

    # -- the reader's lives ------------------------------------------------------------------

    def _born(self) -> Cursor:
        settings = CaptureSettings(
            overlap=4,
            sweep_window=self.window_s,
            sweep_interval=15,
            page_size=self.page_size,
            exclude_topics=("cron:*",),
        )
        cursor = Cursor(settings, self._profile, position=self.topic.position, floor=self.floor)
        for record in self.topic.records:
            if record.offset >= self.topic.tail:
                row = record.reading.row
                assert isinstance(row, Event)
                cursor.restore(
                    Remembered(
                        row.id,
                        None if self.by_id[row.id].undated else record.reading.created_at,
                        record.reading.revision,
                        row.deleted_at,
                        row.acknowledged_at,
                    ),
                    record.offset,
                )
        return cursor

    def live(self) -> None:
        """Go through all of it, then let the last sweep find what is left."""
        dice, server = self.random, self.server
        server.fault_share = self.fault_share
        kills = self.kill_share
        while server.now_s < self.end_s:
            self._live_once(kills)
            server.pass_time(dice.random() * dice.choice((0.5, 2.0, 6.0)))
        server.fault_share = 0.0
        server.now_s = max(server.now_s, self._last_appearance_s() + 1)
        for kind in (Look.FAST, Look.FAST, Look.SWEEP):
            run(self._look(kind, 0.0))
        self._check_all()

    def _live_once(self, kills: float) -> None:
        try:
            run(self._look(self._kind(), kills))
        except FlatfileUnavailableError:
            pass
        except KilledError:
            if self.random.random() < 0.3:
                self._profile = ServerProfile(self.page_size)
            if self.random.random() < 0.1:
                self.window_s = self.random.choice((40.0, 80.0, 160.0))
            self.cursor = self._born()

    def _kind(self) -> Look:
        swept = self.cursor.position.swept
        if swept is not None and at(self.server.now_s - 15) > swept:
            return Look.SWEEP
        return Look.WIDE if self.random.random() < 0.25 else Look.FAST

    async def _look(self, kind: Look, kills: float) -> None:
        scope = self.cursor._scope(kind)
        before = self.cursor.position
        # A look that failed may have proved something without a capture that says so.
        claimed = self.cursor._read.watermark
        self._look_requests = 0
        self._in_walk = False
        self.server.shown = {}

        async def fetch(request: PageRequest) -> Page:
            if self._look_requests:
                self._in_walk = True
                self._may_die(kills)
            page = await self.server.fetch(request)
            if not self._look_requests:
                self._look_began_s = self.server.answered_s
            self._look_requests += 1
            self._long_walk |= self._look_requests > 3
            return page

        begun_at, complete = None, False
        async with aclosing(self.cursor.look(kind, fetch)) as captures:
            async for capture in captures:
                begun_at = capture.server_at
                self._commit(capture, kills)
                self._check_watermark(capture, scope, claimed)
                complete = capture.position.polled == begun_at
        if complete and begun_at is not None:
            self._check_look(scope, begun_at, before)

    def _may_die(self, share: float) -> None:
        if self.random.random() < share:
            # With its only page read, a look is no walk that was cut short.
            self._killed_in_walk |= self._in_walk
            raise KilledError

    def _commit(self, capture: Capture, kills: float) -> None:
        dice, topic, cursor = self.random, self.topic, self.cursor
        readings = capture.readings
        assert [r.created_at for r in readings] == sorted(r.created_at for r in readings)
        self._may_die(kills)
        first: int | None = None
        if len(readings) > 4 and dice.random() < 0.3:
            half = len(readings) // 2
            first = topic.append(readings[:half], dice.randrange(3))
            assert first is not None
            topic.position, topic.tail = cursor.position, min(cursor.tail(first), first)
            self._may_die(kills * 5)
            topic.append(readings[half:], 0)
        else:
            first = topic.append(readings, dice.randrange(3))
        if readings or dice.random() < 0.5:
            topic.tail = cursor.tail_after(capture, first, topic.end)
            topic.position = capture.position
        self._may_die(kills)
        cursor.confirm(capture, first)

    # -- what is true ------------------------------------------------------------------------

    def _owed(self, fact: Fact) -> bool:
        if fact.topic == EXCLUDED_TOPIC:
            return False
        # What does not say when it was created may be taken for older or newer than `START`.
        return self.floor is None or (fact.created_at >= self.floor and not fact.undated)

    def _missing(self, facts: list[Fact]) -> list[str]:
        return [fact.id for fact in facts if self._owed(fact) and fact.id not in self.topic.ids]

    def _in_reach(self, fact: Fact, scope: Scope) -> bool:
        if scope.proved is not None and fact.created_at <= scope.proved:
            return False
        return scope.start is None or fact.created_at >= scope.start

    def _covered(self, scope: Scope, up_to: datetime) -> list[Fact]:
        began_s, now_s = self._look_began_s, self.server.now_s
        return [
            fact
            for fact in self.server.facts
            if fact.created_at <= up_to
            and fact.is_visible(began_s, now_s)
            and self._in_reach(fact, scope)
        ]

    @property
    def _sorted_by_arrival(self) -> bool:
        reading = self.server.reading
        return reading.order == "none" and reading.disorder == "by arrival"

    def _check_watermark(self, capture: Capture, scope: Scope, claimed: datetime | None) -> None:
        watermark = capture.position.watermark
        if watermark is None or watermark == claimed:
            return
        if self._sorted_by_arrival:
            return  # Looks sorted until something comes late, which the next sweep then finds.
        covered = self._covered(scope, watermark)
        assert self._missing(covered) == [], "ids below the watermark that never came out"

    def _check_look(self, scope: Scope, begun_at: datetime, before: Position) -> None:
        shown = [
            self.by_id[id_]
            for id_ in self.server.shown
            if before.seen_from is None or self.by_id[id_].created_at >= before.seen_from
        ]
        assert self._missing(shown) == [], "ids that were shown and never came out"
        if self._sorted_by_arrival and not scope.steady:
            return
        covered = self._covered(scope, begun_at)
        assert self._missing(covered) == [], "ids visible throughout a look that never came out"

    def _check_all(self) -> None:
        now_s = self.server.now_s
        remaining = [
            fact
            for fact in self.server.facts
            if fact.is_visible(now_s, now_s) and fact.visible_s - fact.created_s <= 40.0
        ]
        assert self._missing(remaining) == [], "ids visible in the end that never came out"
        published = [(r.reading.row.id, r.reading.revision) for r in self.topic.records]
        repeated = [key for key, times in Counter(published).items() if times > 1]
        assert repeated == [], "ids that came out twice"
        strangers = [
            id_
            for id_ in self.topic.ids
            if not (self._owed(self.by_id[id_]) or self.by_id[id_].undated)
        ]
        assert strangers == [], "ids that must not come out"
        watermark = self.cursor.position.watermark
        assert watermark is None or watermark <= at(now_s), "a watermark from the future"
        revisions = Counter(id_ for id_, _ in published)
        for id_, revision in published:
            assert revision <= revisions[id_], f"{id_} skipped a revision"
            assert revision <= 2, f"{id_} changed once, not {revision} times"

    def _last_appearance_s(self) -> float:
        return max((fact.visible_s for fact in self.server.facts), default=0.0)

    @property
    def traits(self) -> Traits:
        """What made this history hard."""
        cap = min(self.server.reading.cap, self.page_size)
        instants = Counter(fact.created_at for fact in self.server.facts)
        return Traits(
            combination=(
                self.server.reading.order,
                self.server.reading.bound,
                self.server.reading.resolution,
            ),
            long_walk=self._long_walk,
            late=any(
                fact.visible_s > max(fact.created_s + 2, START_S) for fact in self.server.facts
            ),
            killed_in_walk=self._killed_in_walk,
            large_instant=any(size > cap for size in instants.values()),
        )
