"""Who reads a large body, and whose time runs meanwhile; in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from streamer.flatfile.body_turns import BodyTurns
from streamer.flatfile.budget import Priority
from tests.support.virtual_loop import run_virtually

LIMIT_S = 1.0


async def read(
    turns: BodyTurns,
    priority: Priority,
    takes_s: float,
    order: list[Priority],
    *,
    begins_s: float = 0.0,
) -> None:
    """Read for a while without the turn, then hold it for so long, and note that it was had."""
    async with asyncio.timeout(LIMIT_S) as limit:
        await asyncio.sleep(begins_s)
        async with turns.hold(priority, limit):
            order.append(priority)
            await asyncio.sleep(takes_s)


def test_turn_goes_by_priority_and_the_wait_for_it_takes_no_time() -> None:
    """Four bodies that take nearly all of their time each are read, the live one before others."""
    order: list[Priority] = []

    async def scene() -> None:
        turns = BodyTurns()
        waiting = [Priority.DEEP_SWEEP, Priority.DEEP_SWEEP, Priority.INVENTORY, Priority.LIVE]
        await asyncio.gather(*(read(turns, priority, 0.9 * LIMIT_S, order) for priority in waiting))

    run_virtually(scene())
    first, *others = order
    assert first is Priority.DEEP_SWEEP
    assert others == [Priority.LIVE, Priority.INVENTORY, Priority.DEEP_SWEEP]


def test_time_runs_on_once_the_turn_is_had() -> None:
    """What was used up before the wait is missing after it."""

    async def scene() -> None:
        turns, order = BodyTurns(), list[Priority]()
        other = asyncio.ensure_future(read(turns, Priority.SWEEP, 0.9 * LIMIT_S, order))
        with pytest.raises(TimeoutError):
            await read(turns, Priority.LIVE, 0.6 * LIMIT_S, order, begins_s=0.5 * LIMIT_S)
        assert other.done()
        assert order == [Priority.SWEEP, Priority.LIVE]
        # The one that was too late has given the turn back.
        await read(turns, Priority.LIVE, 0.0, order)

    run_virtually(scene())


@pytest.mark.parametrize("is_given", [False, True], ids=["while it waits", "as it is given"])
def test_cancelled_one_takes_no_turn_along(*, is_given: bool) -> None:
    """Whoever is cancelled before it reads leaves the turn to the next one."""
    order: list[Priority] = []

    async def scene() -> None:
        turns = BodyTurns()
        async with turns.hold(Priority.SWEEP):
            cancelled = asyncio.ensure_future(read(turns, Priority.LIVE, 0.5, order))
            last = asyncio.ensure_future(read(turns, Priority.INVENTORY, 0.5, order))
            await asyncio.sleep(0.1)
            if not is_given:
                cancelled.cancel()
        if is_given:
            cancelled.cancel()
        await last
        assert cancelled.cancelled()

    run_virtually(scene())
    assert order == [Priority.INVENTORY]
