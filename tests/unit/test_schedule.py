"""The time-table of one environment, on a clock that the test turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streamer.capture.cursor import Look
from streamer.capture.position import Position
from streamer.capture.schedule import LONGEST_RETRY_S, Schedule
from streamer.config import CaptureSettings

SERVER = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """Seconds that pass when told to, on our side and on the server's."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return our time."""
        return self.now_s

    @property
    def server_at(self) -> datetime:
        """The server's time."""
        return SERVER + timedelta(seconds=self.now_s - 1000)


@pytest.fixture
def clock() -> Clock:
    """Stands still until turned."""
    return Clock()


@pytest.fixture
def schedule(clock: Clock) -> Schedule:
    """Of a new environment, with average luck."""
    settings = CaptureSettings(interval=1, idle_interval=15, overlap=10, sweep_interval=300)
    return Schedule(settings, clock=clock, chance=lambda: 0.5)


def position(clock: Clock, *, swept_s_ago: float = 0) -> Position:
    """Return that of an environment that has been read."""
    swept = clock.server_at - timedelta(seconds=swept_s_ago)
    return Position(watermark=SERVER, polled=SERVER, swept=swept, seen_from=None)


def look(schedule: Schedule, clock: Clock, kind: Look = Look.FAST, *, more: bool = False) -> None:
    """Complete a look that brought nothing."""
    schedule.looked(kind, news=False, more=more, server_at=clock.server_at)


def test_first_look_is_due_at_once(schedule: Schedule) -> None:
    """A new environment does not wait."""
    assert schedule.wait_s == 0
    assert schedule.next_look(Position()) is Look.FAST


def test_waits_lengthen_to_the_idle_interval_and_news_shorten_them(
    schedule: Schedule, clock: Clock
) -> None:
    """Quiet looks follow at growing distances; one with news sets that back."""
    waits = []
    for _ in range(10):
        look(schedule, clock)
        waits.append(schedule.wait_s)
        clock.now_s += schedule.wait_s
    assert waits == sorted(waits)
    assert waits[-1] == 15
    schedule.looked(Look.FAST, news=True, more=False, server_at=clock.server_at)
    assert schedule.wait_s == 1


def test_jitter_keeps_environments_out_of_step(clock: Clock) -> None:
    """Two environments with different luck wait differently, by a tenth at most."""
    settings = CaptureSettings(interval=10)
    lucky = Schedule(settings, clock=clock, chance=lambda: 0.0)
    unlucky = Schedule(settings, clock=clock, chance=lambda: 1.0)
    for schedule in (lucky, unlucky):
        schedule.looked(Look.FAST, news=True, more=False, server_at=None)
    assert (lucky.wait_s, unlucky.wait_s) == (9, 11)


def test_look_that_ended_on_more_is_followed_at_once(schedule: Schedule, clock: Clock) -> None:
    """A busy environment does not wait."""
    look(schedule, clock, more=True)
    assert schedule.wait_s == 0


def test_wide_look_comes_every_half_overlap(schedule: Schedule, clock: Clock) -> None:
    """Among fast polls, one in half an overlap looks back for what came late."""
    kinds = []
    for _ in range(21):
        kind = schedule.next_look(position(clock))
        kinds.append(kind)
        schedule.looked(kind, news=True, more=False, server_at=clock.server_at)
        clock.now_s += 1
    assert kinds.count(Look.WIDE) == 4
    assert kinds.count(Look.FAST) == 17


def test_sweep_is_due_by_the_servers_time_after_a_restart(clock: Clock) -> None:
    """A worker that restarts every 30 s sweeps as often as one that does not."""
    sweeps, swept_at = 0, clock.server_at
    for _ in range(120):
        schedule = Schedule(CaptureSettings(sweep_interval=300), clock=clock, chance=lambda: 0.5)
        for _ in range(20):
            at = Position(SERVER, clock.server_at, swept_at)
            kind = schedule.next_look(at)
            if kind is Look.SWEEP:
                sweeps, swept_at = sweeps + 1, clock.server_at
            schedule.looked(kind, news=True, more=False, server_at=clock.server_at)
            clock.now_s += 1.5
    assert sweeps == 11


def test_live_events_go_before_a_sweep_but_not_for_ever(schedule: Schedule, clock: Clock) -> None:
    """A busy environment puts its sweep off, by three intervals at most."""
    look(schedule, clock, more=True)
    assert schedule.next_look(position(clock, swept_s_ago=900)) is not Look.SWEEP
    assert schedule.next_look(position(clock, swept_s_ago=1300)) is Look.SWEEP


def test_nothing_is_swept_before_the_first_read_is_done(schedule: Schedule, clock: Clock) -> None:
    """A sweep during a first read would publish the newest first."""
    look(schedule, clock)
    reading = Position(SERVER, None, SERVER - timedelta(days=1))
    assert schedule.next_look(reading) is Look.FAST


def test_retries_wait_longer_each_time_up_to_a_bound(schedule: Schedule, clock: Clock) -> None:
    """While the server is gone, attempts thin out, but its return is noticed soon."""
    waits = []
    for _ in range(40):
        schedule.failed()
        waits.append(schedule.wait_s)
    assert waits[:3] == [1, 2, 4]
    assert waits[-1] == LONGEST_RETRY_S
    clock.now_s += 100
    look(schedule, clock)
    schedule.failed()
    assert schedule.wait_s == 1


def test_retry_waits_for_what_the_server_asked_for(schedule: Schedule) -> None:
    """A wait that the server named is kept, and waking does not cut it short."""
    schedule.failed(retry_after_s=90)
    schedule.wake()
    assert schedule.wait_s == 90


def test_waking_makes_a_quiet_environment_due(schedule: Schedule, clock: Clock) -> None:
    """What the scout has seen is fetched at once."""
    for _ in range(10):
        look(schedule, clock)
    schedule.wake()
    assert schedule.wait_s == 0
