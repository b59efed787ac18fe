"""What a stranger wrote where nothing urgent is read: no event waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.stranger import write_undecodable
from tests.support.sweeping_worker import QUICK, sweeping_worker

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

SHARDS = range(4)


async def test_a_log_that_cannot_be_read_back_for_a_deep_sweep_stops_no_shard(
    broker: LocalBroker, prefix: str
) -> None:
    """The sweep fails and is tried again; the shards go on running."""
    servers = broker.bootstrap_servers
    async with SandboxProcess(events=50, environments=2, days=6.5) as sandbox:
        environ = environ_of(sandbox, servers, prefix, **QUICK)
        async with DaemonProcess(environ, program=sweeping_worker(every_s=1)) as daemon:
            await daemon.until_shards(len(SHARDS))
            for shard in SHARDS:
                await write_undecodable(servers, f"{prefix}.audit", partition=shard)
            await daemon.until_events("shard.deep_sweep_failed", 4)
            assert daemon.events("shard.refused") == []
            assert await daemon.shards() == frozenset(SHARDS)
            assert await daemon.stop() == 0


async def test_an_inventory_that_cannot_be_read_back_holds_up_no_event(
    broker: LocalBroker, prefix: str
) -> None:
    """A worker that takes over shards without their inventory publishes events all the same."""
    servers = broker.bootstrap_servers
    async with SandboxProcess(events=50, environments=2) as sandbox:
        environ = environ_of(sandbox, servers, prefix)
        async with AuditFollower(servers, f"{prefix}.audit") as follower:
            async with DaemonProcess(environ, follower=follower) as daemon:
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                assert await daemon.stop() == 0
            for shard in SHARDS:
                await write_undecodable(servers, f"{prefix}.inventory", partition=shard)
            async with DaemonProcess(environ, follower=follower) as daemon:
                await daemon.until_events("shard.inventory_refused", len(SHARDS))
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                assert daemon.events("shard.refused") == []
                assert await daemon.stop() == 0
