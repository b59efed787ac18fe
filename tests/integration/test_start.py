"""`START`: what is older than the first run is never published, whoever looks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.sweeping_worker import QUICK, sweeping_worker

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker


async def test_nothing_from_before_start_is_published_by_a_sweep_or_after_a_restart(
    broker: LocalBroker, prefix: str
) -> None:
    """With `now`, a backlog and latecomers to it stay out; other settings later change nothing."""
    servers = broker.bootstrap_servers
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
    async with SandboxProcess(events=300, environments=2) as sandbox:
        environ = environ_of(sandbox, servers, prefix, CAPTURE__START="now", **QUICK)
        program = sweeping_worker(every_s=1)
        async with AuditFollower(servers, f"{prefix}.audit") as follower:
            async with DaemonProcess(environ, program=program, follower=follower) as daemon:
                await daemon.until_logged("daemon.started")
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                await sandbox.emit_everywhere(event={"createdAt": an_hour_ago})
                await sandbox.post("environments", {"name": "appeared later"})
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                await daemon.until_events("shard.deep_swept", 3)
                assert await daemon.stop() == 0
            environ["STREAMER_CAPTURE__START"] = "earliest"
            async with DaemonProcess(environ, program=program, follower=follower) as daemon:
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                await daemon.until_events("shard.deep_swept", 3)
                assert await daemon.stop() == 0
    assert follower.judge.records == 2 + 3 + 3
