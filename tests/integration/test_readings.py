"""Every reading of the API that its documentation leaves open, each with something going wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.support.readings_run import TROUBLES, Circumstances, Verdict, run_through

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.broker.local import LocalBroker

AT_ONCE = 4
"""Runs side by side: each waits most of the time."""

SHORT = (
    Circumstances("oldest", "inclusive", "ms", "429 with seconds"),
    Circumstances("oldest", "exclusive", "round", "half bodies"),
    Circumstances("oldest", "exclusive", "cut", "expiry"),
    Circumstances("newest", "inclusive", "since_round", "late events"),
    Circumstances("newest", "exclusive", "ms", "resets"),
    Circumstances("newest", "inclusive", "cut", "hostile events"),
    Circumstances("shuffled", "exclusive", "since_cut", "short tokens"),
    Circumstances("shuffled", "inclusive", "round", "500"),
)

LONG = (
    *SHORT,
    Circumstances("oldest", "inclusive", "cut", "late events"),
    Circumstances("oldest", "inclusive", "round", "hostile events"),
    Circumstances("oldest", "inclusive", "since_cut", "garbage"),
    Circumstances("oldest", "exclusive", "ms", "short tokens"),
    Circumstances("oldest", "exclusive", "since_round", "429 without more"),
    Circumstances("newest", "inclusive", "ms", "expiry"),
    Circumstances("newest", "inclusive", "round", "garbage"),
    Circumstances("newest", "exclusive", "cut", "429 with a date"),
    Circumstances("newest", "exclusive", "round", "500"),
    Circumstances("newest", "exclusive", "since_cut", "half bodies"),
    Circumstances("shuffled", "inclusive", "ms", "half bodies"),
    Circumstances("shuffled", "inclusive", "cut", "late events"),
    Circumstances("shuffled", "inclusive", "since_round", "resets"),
    Circumstances("shuffled", "exclusive", "ms", "429 with seconds"),
    Circumstances("shuffled", "exclusive", "cut", "hostile events"),
    Circumstances("shuffled", "exclusive", "round", "garbage"),
)
"""Order by bound by four resolutions (one of the two that change `since` alone is one of them).
Nothing is promised for rows that expire from a listing without order."""


@pytest.mark.timeout(180)
async def test_eight_readings_with_troubles_and_a_kill_lose_and_repeat_nothing(
    broker: LocalBroker, prefix: str
) -> None:
    """Under eight readings, each with a trouble and a `kill -9`, ledger and topic agree."""
    _hold(await _all_of(SHORT, broker, prefix))


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_every_reading_with_troubles_and_a_kill_loses_and_repeats_nothing(
    broker: LocalBroker, prefix: str
) -> None:
    """Under all 24 readings, each with a trouble and a `kill -9`, ledger and topic agree."""
    assert {one.trouble for one in LONG} == set(TROUBLES)
    assert len({(one.order, one.bound, one.resolution) for one in LONG}) == 24
    _hold(await _all_of(LONG, broker, prefix))


def _hold(verdicts: Iterable[Verdict]) -> None:
    flaws = {one.circumstances.name: one.flaws[:5] for one in verdicts if one.flaws}
    assert flaws == {}
    for one in verdicts:
        assert 0 < one.records_at_kill < one.records, one.circumstances


async def _all_of(
    circumstances: Iterable[Circumstances], broker: LocalBroker, prefix: str
) -> list[Verdict]:
    places = asyncio.Semaphore(AT_ONCE)

    async def run(number: int, one: Circumstances) -> Verdict:
        async with places:
            return await run_through(broker.bootstrap_servers, f"{prefix}.{number}", one)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(*pair)) for pair in enumerate(circumstances)]
    return [task.result() for task in tasks]
