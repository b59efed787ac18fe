"""A worker that is told to stop while Kafka does not answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import STOP_S, DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamer.broker.local import LocalBroker


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["pause", "kill"])
async def test_worker_whose_kafka_is_gone_stops_in_its_time(
    how: str, own_broker: Callable[..., Awaitable[LocalBroker]], prefix: str
) -> None:
    """Nobody hears its good-bye to the group; it ends all the same, and says that it did."""
    broker = await own_broker()
    servers = broker.bootstrap_servers
    async with (
        SandboxProcess(environments=2, events=50) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix)) as daemon,
    ):
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        getattr(broker, how)()
        began = time.monotonic()
        assert await daemon.stop() in {0, 1}
        assert time.monotonic() - began < STOP_S
        assert daemon.events()[-1]["event"] in {"daemon.stopped", "daemon.failed"}
