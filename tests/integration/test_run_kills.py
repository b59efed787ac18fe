"""`kill -9` over and over: the short form of `tests/chaos/test_kills.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.kill_run import KillPlan, kill_over_and_over

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker


@pytest.mark.timeout(240)
async def test_killed_over_and_over_loses_and_repeats_nothing(
    broker: LocalBroker, prefix: str
) -> None:
    """Six `kill -9` amid a backlog leave every event in the topic once, in an unbroken chain."""
    plan = KillPlan(
        seed=3, kills=6, in_transaction=1, events=40_000, running_s=4.0, catch_up_s=120.0
    )
    report = await kill_over_and_over(broker.bootstrap_servers, prefix, plan)
    print(report.told())  # noqa: T201 - shown by -s, and when the test fails
    assert report.findings.flaws == []
    assert report.with_backlog >= 3
    assert report.in_transaction >= 1
