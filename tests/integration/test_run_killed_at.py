"""`kill -9` at exact points of a transaction, and the control that shows what would be found."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support import killed_at
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import RUN, DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.broker.local import LocalBroker
    from tests.support.judge import Findings

WITHOUT = "--without-transactions"


def launched(*arguments: str) -> Sequence[str]:
    """Return the command of a worker that dies where it is told."""
    return ("-m", "tests.support.killed_at", *arguments)


class Account(NamedTuple):
    """An account that does not change any more, and the newest event of each environment."""

    sandbox: SandboxProcess
    servers: str
    newest: list[tuple[str, str]]

    def environ(self, prefix: str) -> dict[str, str]:
        """The variables of its only worker: a restart takes its shards back at once."""
        return environ_of(self.sandbox, self.servers, prefix, KAFKA__GROUP_INSTANCE_ID="only")


def busy_sandbox() -> SandboxProcess:
    """Return four environments, each in a shard of its own and with ten pages of backlog."""
    return SandboxProcess(
        environments=4, events=2_000, equal_shares=True, latency_s=0.02, page_cap=50
    )


async def finished(
    account: Account, prefix: str, programs: Sequence[Sequence[str]]
) -> tuple[Findings, list[DaemonProcess]]:
    """Run one worker after another; the last one finishes and is stopped. Then judge the topic."""
    environ = account.environ(prefix)
    workers = [DaemonProcess(environ, program=program) for program in programs]
    async with AuditFollower(account.servers, f"{prefix}.audit") as follower:
        for worker in workers[:-1]:
            async with worker:
                assert await worker.ended(within_s=40) == -signal.SIGKILL, worker.text[-3000:]
        async with workers[-1] as last:
            await follower.until_published(account.newest, within_s=60)
            assert await last.stop() == 0, last.text[-3000:]
        return await follower.findings(await account.sandbox.ledger()), workers


@pytest.mark.timeout(180)
@pytest.mark.parametrize("point", killed_at.POINTS)
async def test_killed_at_an_exact_point_loses_and_repeats_nothing(
    point: str, broker: LocalBroker, prefix: str
) -> None:
    """A worker that dies here leaves every event once; without transactions, it does not."""
    # Dying while it starts does harm only where something was left open before.
    points = [killed_at.BEFORE_CHECKPOINT, point] if point == killed_at.STARTED else [point]
    async with busy_sandbox() as sandbox:
        account = Account(sandbox, broker.bootstrap_servers, await sandbox.emit_everywhere())
        (found, dead), (control, _) = await asyncio.gather(
            finished(account, prefix, [*(launched(one) for one in points), RUN]),
            finished(
                account,
                f"{prefix}c",
                [*(launched(one, WITHOUT) for one in points), launched(killed_at.NEVER, WITHOUT)],
            ),
        )
    assert [worker.output for worker in dead[:-1]] == [[f"killed at {one}"] for one in points]
    assert found.flaws == []
    assert control.twice or control.lost
    assert control.gaps


@pytest.mark.timeout(120)
async def test_control_that_is_not_killed_is_sound(broker: LocalBroker, prefix: str) -> None:
    """It is the kill that the control fails by: stopped in order and started again, it does not."""
    control = launched(killed_at.NEVER, WITHOUT)
    async with busy_sandbox() as sandbox:
        account = Account(sandbox, broker.bootstrap_servers, await sandbox.emit_everywhere())
        async with (
            AuditFollower(account.servers, f"{prefix}.audit") as follower,
            DaemonProcess(account.environ(prefix), program=control) as first,
        ):
            await follower.until_records(600, within_s=60)
            assert await first.stop() == 0
        found, _ = await finished(account, prefix, [control])
    assert found.flaws == []
