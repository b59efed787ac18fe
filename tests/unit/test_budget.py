"""One rate budget for the account, on a clock that only the test moves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from streamer.flatfile.budget import (
    FLOOR_RATE,
    LONGEST_PAUSE_S,
    RECOVERY_PER_S,
    Priority,
    RateBudget,
    Turn,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class VirtualTimer:
    """A clock that stands still, and calls back when it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.alarms: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        """Return the virtual time."""
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Remember the alarm."""
        handle = asyncio.TimerHandle(when, callback, (), asyncio.get_running_loop())
        self.alarms.append(handle)
        return handle

    async def move(self, seconds: float) -> None:
        """Let time pass, alarm by alarm, and everybody who was woken run."""
        until = self.now + seconds
        while due := [a for a in self.alarms if not a.cancelled() and a.when() <= until]:
            first = min(due, key=lambda alarm: alarm.when())
            self.alarms.remove(first)
            self.now = max(self.now, first.when())
            first._run()
            await settle()
        self.now = until
        await settle()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(5):
        await asyncio.sleep(0)


class Queue:
    """Requests that wait for their turn, and the order in which they got it."""

    def __init__(self, timer: VirtualTimer, budget: RateBudget) -> None:
        self.timer = timer
        self.budget = budget
        self.served: list[tuple[str, float]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, name: str, priority: Priority = Priority.LIVE) -> None:
        """Add a request, and let it wait."""

        async def wait() -> None:
            await self.budget.acquire(priority)
            self.served.append((name, self.timer.now - 1_000.0))

        self.tasks[name] = asyncio.create_task(wait())
        await settle()

    @property
    def names(self) -> list[str]:
        """Names in the order in which they were served."""
        return [name for name, _ in self.served]


@pytest.fixture
def timer() -> VirtualTimer:
    """A clock at 1,000 s."""
    return VirtualTimer()


@pytest.fixture
async def queue(timer: VirtualTimer) -> AsyncIterator[Queue]:
    """A queue before an exhausted budget of one request a second."""
    budget = RateBudget(rate=1.0, timer=timer)
    await budget.acquire(Priority.LIVE)
    queue = Queue(timer, budget)
    yield queue
    for task in queue.tasks.values():
        task.cancel()
    await asyncio.gather(*queue.tasks.values(), return_exceptions=True)


async def test_budget_starts_generous(timer: VirtualTimer) -> None:
    """A burst leaves at once before anything was refused."""
    budget = RateBudget(timer=timer)
    for _ in range(50):
        assert await budget.acquire(Priority.DEEP_SWEEP) == Turn(timer.now)
    assert timer.alarms == []


async def test_requests_leave_at_the_rate(queue: Queue, timer: VirtualTimer) -> None:
    """Once the burst is used up, one request a second leaves, neither more nor fewer."""
    for number in range(4):
        await queue.add(str(number))
    await timer.move(10)
    assert [at for _, at in queue.served] == pytest.approx([1, 2, 3, 4])


async def test_lower_priorities_wait_for_higher_ones(queue: Queue, timer: VirtualTimer) -> None:
    """Live polls go before sweeps, sweeps before inventory, and deep sweeps last."""
    for priority in reversed(Priority):
        await queue.add(priority.name, priority)
    await timer.move(10)
    assert queue.names == ["LIVE", "SWEEP", "INVENTORY", "DEEP_SWEEP"]


async def test_one_priority_is_served_in_order_of_arrival(
    queue: Queue, timer: VirtualTimer
) -> None:
    """Nobody overtakes within a priority."""
    for name in "abcd":
        await queue.add(name, Priority.SWEEP)
    await timer.move(10)
    assert queue.names == list("abcd")


async def test_waiting_asks_nothing_over_and_over(queue: Queue, timer: VirtualTimer) -> None:
    """However many wait, one alarm is set."""
    for number in range(20):
        await queue.add(str(number))
    assert len([alarm for alarm in timer.alarms if not alarm.cancelled()]) == 1


async def test_429_halves_the_rate_once_for_a_whole_burst(timer: VirtualTimer) -> None:
    """Requests that were sent before the rate was halved do not halve it again."""
    budget = RateBudget(rate=40.0, timer=timer)
    turns = [await budget.acquire(Priority.LIVE) for _ in range(10)]
    timer.now += 0.05
    for turn in turns:
        budget.throttled(turn, None)
    assert budget.rate == pytest.approx(20.0, abs=0.1)
    await timer.move(1)
    later = await budget.acquire(Priority.LIVE)
    budget.throttled(later, None)
    assert budget.rate == pytest.approx(10.0, abs=0.2)


async def test_rate_recovers_slowly_and_not_beyond_where_it_began(timer: VirtualTimer) -> None:
    """After a 429 the rate rises by a constant a second, up to the first one."""
    budget = RateBudget(rate=40.0, timer=timer)
    budget.throttled(await budget.acquire(Priority.LIVE), None)
    await timer.move(10)
    await budget.acquire(Priority.LIVE)
    assert budget.rate == pytest.approx(20 + 10 * RECOVERY_PER_S)
    await timer.move(10_000)
    await budget.acquire(Priority.LIVE)
    assert budget.rate == 40.0


async def test_rate_never_reaches_zero(timer: VirtualTimer) -> None:
    """However often Flatfile refuses, a request is tried now and then."""
    budget = RateBudget(rate=1.0, timer=timer)
    turn = await budget.acquire(Priority.LIVE)
    for _ in range(100):
        timer.now += 0.001
        budget.throttled(Turn(timer.now), None)
    assert budget.rate == pytest.approx(FLOOR_RATE, abs=0.01)
    assert turn.granted_at == 1_000.0


async def test_retry_after_stops_every_request(queue: Queue, timer: VirtualTimer) -> None:
    """Until the time that Flatfile named has passed, nothing leaves, whatever its priority."""
    await queue.add("waiting")
    queue.budget.throttled(Turn(timer.now), 7)
    await queue.add("later", Priority.SWEEP)
    await timer.move(6.9)
    assert queue.names == []
    await timer.move(20)
    assert queue.names == ["waiting", "later"]
    assert queue.served[0][1] >= 7


@pytest.mark.parametrize("retry_after_s", [1e9, float("inf")])
async def test_retry_after_is_capped(
    queue: Queue, timer: VirtualTimer, retry_after_s: float
) -> None:
    """A server cannot send us to sleep for days."""
    queue.budget.throttled(Turn(timer.now), retry_after_s)
    await queue.add("waiting")
    await timer.move(LONGEST_PAUSE_S + 1 / FLOOR_RATE)
    assert queue.names == ["waiting"]


async def test_negative_retry_after_is_none(queue: Queue, timer: VirtualTimer) -> None:
    """A `Retry-After` in the past is no reason to hurry."""
    queue.budget.throttled(Turn(timer.now), -100)
    await queue.add("waiting")
    assert queue.names == []
    await timer.move(3)
    assert queue.names == ["waiting"]


async def test_cancelled_waiter_takes_no_turn(queue: Queue, timer: VirtualTimer) -> None:
    """The turn of a waiter that gave up goes to the next one."""
    await queue.add("gone")
    await queue.add("next")
    queue.tasks["gone"].cancel()
    await settle()
    await timer.move(1)
    assert queue.names == ["next"]
    assert queue.served[0][1] == pytest.approx(1)


async def test_waiter_cancelled_in_the_moment_of_its_turn_gives_it_back(
    queue: Queue, timer: VirtualTimer
) -> None:
    """A turn that was granted to a cancelled waiter is not lost."""
    await queue.add("gone")
    await queue.add("next")
    timer.now += 1
    queue.budget._serve()  # Grants; the waiter has not run yet.
    queue.tasks["gone"].cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await queue.tasks["gone"]
    await settle()
    assert queue.names == ["next"]


async def test_rate_does_not_grow_during_a_pause(timer: VirtualTimer) -> None:
    """A pause that Flatfile asked for neither saves up requests nor raises the rate."""
    budget = RateBudget(rate=40.0, timer=timer)
    budget.throttled(await budget.acquire(Priority.LIVE), 30)
    timer.now += 30
    queue = Queue(timer, budget)
    for number in range(3):
        await queue.add(str(number))
    assert queue.names == []
    assert budget.rate == pytest.approx(20.0)
    await timer.move(1)
    assert len(queue.names) == 3
