"""Half a transaction, as a worker without transactions leaves it: found, mended, and then gone."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import killed_at
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import RUN, DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import streamer

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

LAUNCHER = ("-m", "tests.support.killed_at")


@pytest.mark.timeout(150)
@pytest.mark.parametrize("how", [["--without-transactions"], []], ids=["without", "with"])
async def test_what_a_worker_left_half_done_is_told_from_what_it_aborted(
    broker: LocalBroker, prefix: str, how: list[str]
) -> None:
    """Killed before a checkpoint: torn without transactions, whole with them and when mended."""
    servers = broker.bootstrap_servers
    sandbox = SandboxProcess(
        environments=4, events=2000, equal_shares=True, latency_s=0.02, page_cap=50
    )
    async with sandbox, AuditFollower(servers, f"{prefix}.audit") as follower:
        newest = await sandbox.emit_everywhere()
        environ = environ_of(
            *(sandbox, servers, prefix),
            KAFKA__GROUP_INSTANCE_ID="only",
            KAFKA__TRANSACTION_TIMEOUT="2",
        )
        program = (*LAUNCHER, killed_at.BEFORE_CHECKPOINT, *how)
        async with DaemonProcess(environ, program=program) as killed:
            assert await killed.ended(within_s=40) == -signal.SIGKILL, killed.text[-3000:]
        found = await streamer("verify", "--json", settings=environ)
        assert found.code == (5 if how else 0), found.everything
        assert set(json.loads(found.out)["counts"]) == ({"torn"} if how else set())
        async with DaemonProcess(environ, program=RUN, follower=follower) as successor:
            await follower.until_published(newest, within_s=60)
            assert await successor.stop() == 0
        mended = await streamer("verify", settings=environ)
        assert mended.code == 0, mended.everything
