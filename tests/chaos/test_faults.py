"""Workers and brokers killed, paused and stopped: a minute in every run, any time by command.

`pytest -m chaos tests/chaos/test_faults.py --minutes 28 --report chaos.json -s`
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streamer.broker.local import LocalBroker
from tests.support.chaos_brokers import OneOfThree, TheOnlyOne
from tests.support.chaos_plan import ChaosPlan
from tests.support.chaos_run import ChaosReport, run_chaos, written
from tests.support.cluster import Cluster

SEED = int(os.environ.get("CHAOS_SEED", "1"))
"""Of the faults; another one with CHAOS_SEED."""

OF_THREE = 0.75
"""Share of the time that is spent on three brokers; the rest on one alone."""

EVENTS_A_MINUTE = 6_000
"""In the backlog; as many again happen while it runs."""


def plan(minutes: float) -> ChaosPlan:
    """The plan of so many minutes."""
    return ChaosPlan(
        seed=SEED,
        duration_s=60.0 * minutes,
        events=round(EVENTS_A_MINUTE * minutes),
        rate=EVENTS_A_MINUTE / 60.0,
        catch_up_s=600.0,
    )


async def reports(folder: Path, minutes: float) -> list[ChaosReport]:
    """Spend the time on three brokers, then on one."""
    async with Cluster(folder / "three") as cluster:
        of_three = await run_chaos(OneOfThree(cluster), "three", plan(minutes * OF_THREE))
    async with LocalBroker(
        folder / "one", properties={"group.min.session.timeout.ms": "1000"}
    ) as broker:
        alone = await run_chaos(TheOnlyOne(broker), "one", plan(minutes * (1 - OF_THREE)))
    return [of_three, alone]


@pytest.mark.timeout(600)
async def test_minute_of_faults_loses_and_repeats_nothing(tmp_path: Path) -> None:
    """One fault of each kind at least, on three brokers and on one: every event is there once."""
    found = await reports(tmp_path, 1.0)
    print(written(found))  # noqa: T201 - shown by -s, and when the test fails
    assert [report.findings for report in found] == [[], []]


@pytest.mark.chaos
@pytest.mark.timeout(4 * 3600)
async def test_faults_lose_and_repeat_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Whatever is killed, paused or stopped: every event is there once, in an unbroken chain."""
    found = await reports(tmp_path, request.config.getoption("--minutes"))
    text = written(found)
    Path(request.config.getoption("--report") or tmp_path / "chaos.json").write_text(text)  # noqa: ASYNC240 - nothing else runs any more
    print(text)  # noqa: T201 - the test's second purpose
    assert [report.findings for report in found] == [[], []]
