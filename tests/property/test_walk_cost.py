"""What a walk costs in requests, and what it makes of listings that are long or lopsided."""

from __future__ import annotations

import time
from contextlib import aclosing

import pytest

from streamer.capture.cursor import Cursor, Look
from streamer.config import CaptureSettings
from streamer.flatfile.server_profile import ServerProfile
from tests.support.histories import run
from tests.support.long_server import Direction, LongServer

DIRECTIONS = ("oldest", "newest")
BACKLOG_S = 10_000.0


class Archive:
    """Looks and confirms, and keeps what came out."""

    def __init__(self, server: LongServer) -> None:
        self.server = server
        self.ids: list[str] = []
        self.cursor = Cursor(CaptureSettings(), ServerProfile(1000))

    def look(self, kind: Look = Look.FAST) -> int:
        """Take one look; return how many requests it took."""
        before = self.server.requests
        run(self._look(kind))
        return self.server.requests - before

    async def _look(self, kind: Look) -> None:
        async with aclosing(self.cursor.look(kind, self.server.fetch)) as captures:
            async for capture in captures:
                moments = [reading.created_at for reading in capture.readings]
                assert moments == sorted(moments)
                first = len(self.ids) if capture.readings else None
                self.ids += [reading.row.id or "" for reading in capture.readings]
                self.cursor.confirm(capture, first)


def backlog_and_live(events: int, live_per_s: float, live_s: float) -> list[float]:
    """Return when so many events of a backlog, and those after it, are created."""
    backlog = [-BACKLOG_S * (1 - place / events) for place in range(events)]
    return backlog + [place / live_per_s for place in range(int(live_per_s * live_s))]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("cap", "events"), [(100, 40_000), (1000, 100_000)])
def test_backlog_costs_little_more_than_its_pages(
    direction: Direction, cap: int, events: int
) -> None:
    """A backlog, with 100 events a second arriving, costs 1.4 or 1.5 times its pages at most."""
    server = LongServer(direction, cap, backlog_and_live(events, 100, 120))
    archive = Archive(server)
    requests = archive.look()
    share = requests / (events / cap)
    print(f"{direction} first, cap {cap}: {share:.2f} requests per full page")  # noqa: T201
    assert share <= (1.4 if direction == "oldest" else 1.5)
    assert len(archive.ids) == len(set(archive.ids))
    assert set(server.visible()[:events]) <= set(archive.ids)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("cap", [100, 1000])
def test_idle_poll_costs_one_request(direction: Direction, cap: int) -> None:
    """When nothing has happened, a fast poll asks once, and so does a wide one."""
    server = LongServer(direction, cap, backlog_and_live(3000, 1, 1))
    archive = Archive(server)
    archive.look()
    for second in range(60):
        server.now_s = 60.0 + second
        assert archive.look(Look.WIDE if second % 5 == 0 else Look.FAST) == 1


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("cap", "most"), [(100, 7), (1000, 2)])
def test_fast_polls_stay_cheap_after_a_burst(direction: Direction, cap: int, most: int) -> None:
    """After 5,000 events in one instant, fast polls still find what comes next for little."""
    live_s = [12.0 + second for second in range(40)]
    server = LongServer(direction, cap, [*backlog_and_live(3000, 1, 1), *[10.0] * 5000, *live_s])
    archive = Archive(server)
    archive.look()
    server.now_s = 11.0
    while len(archive.ids) < 3001 + 5000:
        archive.look()
    costs = []
    while server.now_s < 50:
        server.now_s += 1.0
        costs.append(archive.look())
        assert set(server.visible()) - set(archive.ids) <= {server.visible()[-1]}
    assert max(costs) <= most, costs
    assert len(archive.ids) == len(set(archive.ids))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_instant_of_five_thousand_comes_out_once_through_pages_of_a_hundred(
    direction: Direction,
) -> None:
    """An instant of 50 pages loses and repeats nothing, and neither do its neighbours."""
    created_s = [*backlog_and_live(2000, 1, 1), *[-5000.0] * 5000, *[-1.0] * 700]
    server = LongServer(direction, 100, created_s)
    archive = Archive(server)
    archive.look()
    archive.look()
    assert sorted(archive.ids) == sorted(server.visible())


def test_200_000_events_newest_first_come_out_in_order() -> None:
    """A long backlog, the newest first and still growing, comes out once and oldest first."""
    events = 200_000
    server = LongServer("newest", 1000, backlog_and_live(events, 100, 120))
    archive = Archive(server)
    archive.look()
    archive.look()
    assert archive.ids == server.visible()[: len(archive.ids)]
    assert len(archive.ids) >= events


def test_cpu_of_a_new_event_is_small_live_and_in_a_backlog() -> None:
    """Walk, cursor and seen set take microseconds an event; live, most rows are seen again."""
    events, seconds = 60_000, 60
    server = LongServer("oldest", 1000, backlog_and_live(events, 200, 100), latency_s=0.0)
    archive = Archive(server)
    backlog_us = cpu_us_of(archive, 1, 0.0)
    server.now_s = 20.0
    archive.look()
    live_us = cpu_us_of(archive, seconds, 1.0)
    print(f"CPU per new event: backlog {backlog_us:.1f} us, live {live_us:.1f} us")  # noqa: T201
    assert backlog_us < 20
    assert live_us < 60


def cpu_us_of(archive: Archive, looks: int, pause_s: float) -> float:
    """Return the CPU per new event of so many looks, the server's own part included."""
    before, began_s = len(archive.ids), time.process_time()
    for _ in range(looks):
        archive.server.now_s += pause_s
        archive.look()
    return (time.process_time() - began_s) * 1e6 / (len(archive.ids) - before)
