"""Requests follow an account's activity, not its size: `tests.bench.environments` in short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.environments import Scale, measure

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

IDLE_S = 4
SCALE = Scale(environments=60, active=3, settle_s=8, measure_s=12)


@pytest.mark.timeout(120)
async def test_quiet_environments_are_polled_seldom_and_never_called_stalled(
    broker: LocalBroker, prefix: str
) -> None:
    """Sixty environments, three active: a request per idle interval for each that is quiet."""
    cost = await measure(
        broker.bootstrap_servers,
        prefix,
        SCALE,
        CAPTURE__INTERVAL="0.5",
        CAPTURE__IDLE_INTERVAL=str(IDLE_S),
        WEB__STALL_AFTER=str(2 * IDLE_S),
        INVENTORY__INTERVAL="0",
    )
    print(cost.requests, cost.delay_s(50), cost.delay_s(99), cost.peak_mb)  # noqa: T201
    quiet = SCALE.environments / IDLE_S
    # The scout, and each of the active ones at every interval, twice where there is much.
    assert cost.requests["list_events"] <= 1.15 * quiet + 2 + 2 * 2 * SCALE.active
    assert cost.requests["list_events"] >= 0.8 * quiet
    assert cost.delay_s(99) <= 2.0
    assert cost.peak_mb < 250
    assert cost.unready == []
