"""Twenty `kill -9` amid a backlog of 400,000 events: by command, a few minutes.

`pytest -m chaos tests/chaos/test_kills.py -s` prints each kill.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from streamer.broker.local import LocalBroker
from tests.support.kill_run import KillPlan, kill_over_and_over

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("CHAOS_SEED", "1"))
"""Of the moments; another one with CHAOS_SEED."""


@pytest.mark.chaos
@pytest.mark.timeout(2400)
async def test_twenty_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Twenty `kill -9` at random moments leave every event once, in an unbroken chain."""
    plan = KillPlan(
        seed=SEED, kills=20, in_transaction=5, events=400_000, running_s=9.0, catch_up_s=1500.0
    )
    async with LocalBroker(tmp_path / "broker") as broker:
        report = await kill_over_and_over(broker.bootstrap_servers, "chaos", plan)
    print(report.told())  # noqa: T201 - the test's second purpose
    assert report.findings.flaws == []
    assert report.with_backlog >= 12
    assert report.in_transaction >= 5
