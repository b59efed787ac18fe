"""Deep sweeps from end to end: what was erased or became visible days later, once, beside the rest.

What takes days is set to seconds in the worker's own process; the log is as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.support.audit_follower import AuditFollower
from tests.support.checkpoints import checkpoints_of
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.sweeping_worker import QUICK, sweeping_worker

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker


AHEAD = timedelta(days=2)
"""By how much Flatfile's clock is."""

A_MOMENT = timedelta(milliseconds=20)
"""By how much what a log line says of times may be off."""


async def test_latecomers_and_erasures_of_days_ago_come_out_once(
    broker: LocalBroker, prefix: str
) -> None:
    """What a week holds is looked through, again and again, and a restart does not do it anew.

    By Flatfile's clock, which is not ours.
    """
    now = datetime.now(UTC) + AHEAD
    days_ago = (now - timedelta(days=5)).isoformat(timespec="milliseconds")
    async with SandboxProcess(
        events=600, environments=3, days=6.5, clock_offset_s=AHEAD.total_seconds()
    ) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, **QUICK)
        async with AuditFollower(broker.bootstrap_servers, f"{prefix}.audit") as follower:
            async with DaemonProcess(
                environ, program=sweeping_worker(every_s=2), follower=follower
            ) as daemon:
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                late = await sandbox.emit_everywhere(event={"createdAt": days_ago})
                erased = [(one["environment"], one["id"]) for one in (await sandbox.ledger())[:3]]
                await sandbox.post(
                    "rewrite",
                    {
                        "ids": [event_id for _, event_id in erased],
                        "changes": {"deletedAt": now.isoformat()},
                    },
                )
                await follower.until_published(late, within_s=30)
                await follower.until_records(603 + 3 + 3, within_s=30)
                done = len(daemon.events("shard.deep_swept"))
                await daemon.until_events("shard.deep_swept", done + 4)
                assert await daemon.stop() == 0
            before = deep_swept(broker.bootstrap_servers, prefix)
            async with DaemonProcess(
                environ, program=sweeping_worker(every_s=3600), follower=follower
            ) as daemon:
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                assert await daemon.stop() == 0
                assert daemon.events("shard.deep_swept") == []
            assert deep_swept(broker.bootstrap_servers, prefix) == before
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert follower.judge.records == 603 + 3 + 3 + 3


async def test_what_is_not_read_back_is_not_swept(broker: LocalBroker, prefix: str) -> None:
    """Where the log holds more than is read of it, what may stand before that comes out no more."""
    servers = broker.bootstrap_servers
    days_ago = (datetime.now(UTC) - timedelta(days=5)).isoformat(timespec="milliseconds")
    async with SandboxProcess(events=600, environments=2, days=6.5) as sandbox:
        environ = environ_of(sandbox, servers, prefix, **QUICK)
        program = sweeping_worker(every_s=1, most_records=20)
        async with (
            AuditFollower(servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, program=program, follower=follower) as daemon,
        ):
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            await sandbox.emit_everywhere(event={"createdAt": days_ago})
            await daemon.until_events("shard.deep_sweep_narrowed", 3)
            done = len(daemon.events("shard.deep_swept"))
            await daemon.until_events("shard.deep_swept", done + 3)
            assert await daemon.stop() == 0
    assert follower.judge.records == 602


async def test_shards_of_a_worker_sweep_deeply_one_after_the_other(
    broker: LocalBroker, prefix: str
) -> None:
    """However many shards are due, what one of them reads back is in memory at a time."""
    async with SandboxProcess(events=200, environments=6, days=6.5) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, **QUICK)
        async with DaemonProcess(environ, program=sweeping_worker(every_s=0.5)) as daemon:
            await daemon.until_events("shard.deep_swept", 12)
            swept = daemon.events("shard.deep_swept")
            assert await daemon.stop() == 0
    assert len({one["shard"] for one in swept}) > 1
    ends = [datetime.fromisoformat(one["timestamp"]) for one in swept]
    begins = [
        end - timedelta(seconds=one["duration_s"]) for one, end in zip(swept, ends, strict=True)
    ]
    assert all(end - begin < A_MOMENT for end, begin in zip(ends, begins[1:], strict=False))


def deep_swept(servers: str, prefix: str) -> dict[str, str]:
    """Return when each environment's last deep sweep began, as its last checkpoint says."""
    found = checkpoints_of(servers, f"{prefix}.checkpoints")
    return {key: checkpoint["deep_swept"] for key, checkpoint in found.items()}
