"""Long stretches of simulated time: what is late, what is down, and who restarts all the time."""

from __future__ import annotations

import random
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from streamer.capture.cursor import Cursor, Look
from streamer.capture.position import Position
from streamer.capture.schedule import Schedule
from streamer.capture.seen import Remembered
from streamer.config import CaptureSettings
from streamer.errors import FlatfileError, FlatfileUnavailableError
from streamer.flatfile.server_profile import ServerProfile
from tests.support.generated_server import Fact, GeneratedServer, Order, ServerReading, at
from tests.support.histories import run

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.capture.position import Capture
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.pages import Page

BEGIN_S = 100_000.0
ORDERS = ("oldest", "newest", "none")


class Worker:
    """Cursor and schedule as an archiver drives them, on the server's clock."""

    def __init__(self, server: GeneratedServer, settings: CaptureSettings) -> None:
        self.server = server
        self.settings = settings
        self.published: list[tuple[str, datetime]] = []
        self.published_s: dict[str, float] = {}
        self.looks: list[Look] = []
        self.down = (0.0, 0.0)
        self._position = Position()
        self._tail = 0
        self.start()

    def start(self) -> None:
        """Begin a life: from the checkpoint, and what can be read back."""
        self.cursor = Cursor(self.settings, ServerProfile(1000), position=self._position)
        for offset in range(self._tail, len(self.published)):
            self.cursor.restore(Remembered(*self.published[offset]), offset)
        self.schedule = Schedule(
            self.settings,
            clock=lambda: self.server.now_s,
            chance=random.Random(3).random,  # noqa: S311
        )

    def live_until(self, end_s: float) -> None:
        """Poll as the schedule says."""
        while self.server.now_s < end_s:
            self.server.pass_time(self.schedule.wait_s)
            kind = self.schedule.next_look(self.cursor.position)
            try:
                run(self._look(kind))
            except FlatfileError:
                self.schedule.failed()

    async def _look(self, kind: Look) -> None:
        news, last = False, None
        async with aclosing(self.cursor.look(kind, self._fetch)) as captures:
            async for capture in captures:
                news |= bool(capture.readings)
                last = capture
                self._commit(capture)
        assert last is not None
        self.looks.append(kind)
        self.schedule.looked(kind, news=news, more=last.more, server_at=last.server_at)

    async def _fetch(self, request: PageRequest) -> Page:
        if self.down[0] <= self.server.now_s < self.down[1]:
            self.server.pass_time(0.1)
            raise FlatfileUnavailableError(where="GET /events", what="503", next_step="Wait.")
        return await self.server.fetch(request)

    def _commit(self, capture: Capture) -> None:
        first = len(self.published)
        for reading in capture.readings:
            id_ = reading.row.id or ""
            assert id_ not in self.published_s, "an id came out twice"
            self.published.append((id_, reading.created_at))
            self.published_s[id_] = self.server.now_s
        offset = first if capture.readings else None
        self._tail = self.cursor.tail_after(capture, offset, len(self.published))
        self._position = capture.position
        self.cursor.confirm(capture, offset)

    def missing(self) -> list[str]:
        """Return the ids that are visible and have not come out."""
        now_s = self.server.now_s
        return [
            fact.id
            for fact in self.server.facts
            if fact.visible_s <= now_s and fact.id not in self.published_s
        ]


def new_server(order: Order, cap: int = 100) -> GeneratedServer:
    """Return a server without events, whose requests take up to 50 ms."""
    server = GeneratedServer(ServerReading(order, "exclusive", "cut to seconds", cap), 5)
    server.now_s = BEGIN_S
    server.latency_s = 0.025
    return server


@pytest.mark.parametrize("order", ORDERS)
def test_thirty_percent_late_for_ten_minutes_lose_and_repeat_nothing(order: Order) -> None:
    """Events late by up to 20 s come out once, on time and late ones alike."""
    dice = random.Random(11)  # noqa: S311
    server = new_server(order)
    for number in range(3000):
        created_s = BEGIN_S + number * 0.2
        late_s = dice.random() * 20 if dice.random() < 0.3 else 0.0
        server.add(Fact(f"e{number}", created_s, created_s + late_s))
    worker = Worker(server, CaptureSettings(sweep_interval=30, sweep_window=120))
    worker.live_until(BEGIN_S + 600 + 20 + 70)
    assert worker.missing() == []
    waits_s = sorted(worker.published_s[fact.id] - fact.visible_s for fact in server.facts)
    assert waits_s[int(len(waits_s) * 0.8)] <= 2


@pytest.mark.parametrize("order", ORDERS)
def test_an_hour_of_outage_is_caught_up_with(order: Order) -> None:
    """What happened while the API was away comes out when it is back, and `polled` stood still."""
    server = new_server(order)
    for number in range(2400):
        moment_s = BEGIN_S + number * 2.0
        server.add(Fact(f"e{number}", moment_s, moment_s))
    worker = Worker(server, CaptureSettings(sweep_window=600))
    worker.down = (BEGIN_S + 100, BEGIN_S + 3700)
    worker.live_until(BEGIN_S + 3660)
    polled = worker.cursor.position.polled
    assert polled is not None
    assert polled <= at(BEGIN_S + 101)
    worker.live_until(BEGIN_S + 4900)
    assert worker.missing() == []


def test_restarts_every_30_s_for_an_hour_starve_no_sweep() -> None:
    """A worker that never lives for a whole sweep interval sweeps all the same."""
    server = new_server("oldest")
    for number in range(400):
        created_s = BEGIN_S + number * 9.0
        late_s = 1000.0 if number % 10 == 0 else 0.0
        server.add(Fact(f"e{number}", created_s, created_s + late_s))
    worker = Worker(server, CaptureSettings())
    for life in range(120):
        worker.live_until(BEGIN_S + 30.0 * (life + 1))
        worker.start()
    assert worker.looks.count(Look.SWEEP) >= 10
    worker.live_until(BEGIN_S + 3600 + 1000 + 400)
    assert worker.missing() == []


def test_first_page_from_the_future_does_not_hide_the_present() -> None:
    """A thousand events dated 2099 stand before all others, and the others still come out."""
    server = new_server("newest")
    for number in range(1000):
        server.add(Fact(f"future{number}", 86_400 * 365 * 73.0 + number, 0))
    for number in range(300):
        moment_s = BEGIN_S - 100 + number
        server.add(Fact(f"e{number}", moment_s, moment_s))
    worker = Worker(server, CaptureSettings())
    worker.live_until(BEGIN_S + 220)
    assert worker.missing() == []
    watermark = worker.cursor.position.watermark
    assert watermark is not None
    assert watermark <= at(server.now_s)
