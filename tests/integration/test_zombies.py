"""A worker paused in each state of a shard, past its session time-out, that wakes up again.

Two of them in every run, all by `pytest -m "chaos or not chaos" tests/integration/test_zombies.py`.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import zombie_at
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import connection_to, started
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

SHARDS = 2

IN_EVERY_RUN = ("restoring", zombie_at.BEFORE_COMMIT)

UNDISTURBED_S = 5.0
"""The longest that the rightful owner may be held up by a zombie that wakes up."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=() if point in IN_EVERY_RUN else pytest.mark.chaos)
        for point in zombie_at.POINTS
    ],
)
async def test_zombie_that_wakes_up_commits_nothing_and_disturbs_nobody_for_long(
    point: str, broker: LocalBroker, prefix: str
) -> None:
    """Whatever it was in the middle of: every event once, and the owner goes on or shares."""
    servers, audit = broker.bootstrap_servers, f"{prefix}.audit"
    async with (
        SandboxProcess(environments=4, events=1_200, latency_s=0.02, page_cap=50) as sandbox,
        AuditFollower(servers, audit) as follower,
    ):
        environ = environ_of(
            sandbox, servers, prefix, KAFKA__SESSION_TIMEOUT="2", KAFKA__PARTITIONS=str(SHARDS)
        )
        program = ("-m", "tests.support.zombie_at", point)
        async with DaemonProcess(environ, program=program) as zombie:
            await _lead_to(point, zombie, sandbox, servers, f"streamer.{audit}.0")
            await follower.until(
                lambda: bool(zombie.output), within_s=40, what=f"a stop at {point}"
            )
            async with DaemonProcess(environ) as owner:
                await owner.until_shards(SHARDS)
                await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
                zombie.send(signal.SIGCONT)
                longest_s = await _longest_wait(sandbox, follower, turns=8)
                if point == "draining":
                    assert await zombie.ended() in {0, 1}
                else:
                    await asyncio.gather(owner.until_shards(1), zombie.until_shards(1))
                    assert await zombie.stop() == 0
                await owner.until_shards(SHARDS)
                await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
                assert await owner.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert zombie.output == [f"stopped at {point}"]
    assert found.flaws == []
    assert longest_s <= UNDISTURBED_S


async def _lead_to(
    point: str, zombie: DaemonProcess, sandbox: SandboxProcess, servers: str, transactional_id: str
) -> None:
    """Bring about what does not come by itself: a stop, or a rival that fences."""
    if point == "draining":
        await zombie.until_shards(SHARDS)
        zombie.send(signal.SIGTERM)
    elif point == "fenced":
        await zombie.until_shards(SHARDS)
        async with started(connection_to(servers), transactional_id):
            await sandbox.emit_everywhere()


async def _longest_wait(sandbox: SandboxProcess, follower: AuditFollower, *, turns: int) -> float:
    """Let something happen everywhere, over and over; the longest time until it was published."""
    longest_s = 0.0
    for _ in range(turns):
        began = time.monotonic()
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        longest_s = max(longest_s, time.monotonic() - began)
    return longest_s
