"""An environment that does not answer for a while holds nobody back, and goes on where it was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.audit_follower import AuditFollower
from tests.support.checkpoints import checkpoints_of
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from streamer.broker.local import LocalBroker

QUICK = {
    "KAFKA__PARTITIONS": "1",
    "CAPTURE__OVERLAP": "0.5",
    "CAPTURE__SWEEP_WINDOW": "1",
    "CAPTURE__SWEEP_INTERVAL": "1",
    "CAPTURE__INTERVAL": "0.2",
    "CAPTURE__IDLE_INTERVAL": "0.5",
}


async def test_forbidden_environment_is_read_back_when_it_returns(
    broker: LocalBroker, prefix: str
) -> None:
    """Its month of records is not read at a start, but before anything of it is published again."""
    servers, topic = broker.bootstrap_servers, f"{prefix}.checkpoints"
    async with SandboxProcess(events=400, environments=2) as sandbox:
        environ = environ_of(sandbox, servers, prefix, **QUICK)
        away, other = await sandbox.environments()

        async def until(holds: Callable[[dict[str, Any], dict[str, Any]], bool]) -> None:
            async with asyncio.timeout(40):
                while True:
                    found = await asyncio.to_thread(checkpoints_of, servers, topic)
                    if holds(found[away], found[other]):
                        return
                    await asyncio.sleep(0.2)

        async with AuditFollower(servers, f"{prefix}.audit") as follower:
            async with DaemonProcess(environ, follower=follower) as daemon:
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                await sandbox.post("environments", {"id": away, "forbidden": True})
                await until(lambda away, _: away["state"] == "forbidden")
                await sandbox.emit(other, count=100)
                await until(lambda away, other: away["tail"] < 402 and other["tail"] >= 502)
                assert await daemon.stop() == 0
            async with DaemonProcess(environ, follower=follower) as daemon:
                restored = await daemon.until_logged("shard.restored")
                assert restored["records"] == 0
                await sandbox.emit(other)
                await sandbox.post("environments", {"id": away, "forbidden": False})
                await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
                assert daemon.events("shard.restored")[-1]["reason"] == "EnvironmentReturned"
                assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
