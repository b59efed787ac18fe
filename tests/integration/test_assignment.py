"""Shards that change hands at a bad moment: while one restores, commits, or its worker stops."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_proxy import Api, Fault, KafkaProxy, behind_proxy, listening_socket
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from streamer.broker.local import LocalBroker

SHARDS = 4
TRANSACTION_S = "2"
"""Half of it may pass until a commit without an answer is given up."""

HANDED_OVER_S = 15.0
"""Of which a held request takes its share; the worker's own bound is no less than this."""


@pytest.fixture
async def proxy(own_broker: Callable[..., Awaitable[LocalBroker]]) -> AsyncIterator[KafkaProxy]:
    """The way to a broker of the test's own."""
    with listening_socket() as listener:
        broker = await own_broker(properties=behind_proxy(listener))
        async with KafkaProxy(listener, broker.port) as forwarding:
            yield forwarding


class Stage:
    """A busy account, whoever reads along, and the settings of its workers."""

    def __init__(self, sandbox: SandboxProcess, follower: AuditFollower, servers: str) -> None:
        self.sandbox = sandbox
        self.follower = follower
        self.servers = servers

    def worker(self, prefix: str) -> DaemonProcess:
        """Return a worker that gives a commit up soon."""
        return DaemonProcess(
            environ_of(self.sandbox, self.servers, prefix, KAFKA__TRANSACTION_TIMEOUT=TRANSACTION_S)
        )

    async def everything_is_right(self, *workers: DaemonProcess) -> None:
        """Everything is published, once and in order, and the workers stop in order."""
        await self.sandbox.settings(rate=0.0)
        newest = await self.sandbox.emit_everywhere()
        await self.follower.until_published(newest, within_s=40)
        for worker in workers:
            assert await worker.stop() == 0
        found = await self.follower.findings(await self.sandbox.ledger())
        assert found.flaws == []


@pytest.fixture
async def stage(proxy: KafkaProxy, prefix: str) -> AsyncIterator[Stage]:
    """Four environments, one in each shard or not, with an event every few milliseconds."""
    async with (
        SandboxProcess(events=400, environments=4, rate=40.0) as sandbox,
        AuditFollower(proxy.servers, f"{prefix}.audit") as follower,
    ):
        yield Stage(sandbox, follower, proxy.servers)


async def restoring(worker: DaemonProcess) -> bool:
    """Whether one of a worker's shards is being restored, as `/readyz` says."""
    return "restoring" in json.loads((await worker.get("/readyz"))[1])["shards"].values()


async def test_shards_that_a_worker_keeps_are_not_read_back(stage: Stage, prefix: str) -> None:
    """A rebalance makes a worker restore what is new to it, and go on with the rest at once."""
    async with stage.worker(prefix) as one, stage.worker(prefix) as other:
        await stage.follower.until_records(400, within_s=30)
        await asyncio.gather(one.until_shards(SHARDS // 2), other.until_shards(SHARDS // 2))
        kept = await one.shards()
        restored = len(one.events("shard.restored"))
        assert await other.stop() == 0
        await one.until_shards(SHARDS)
        again = [line["shard"] for line in one.events("shard.restored")[restored:]]
        assert sorted(again) == sorted(set(range(SHARDS)) - kept)
        await stage.everything_is_right(one)


async def test_shard_that_restores_is_given_back_at_once(
    stage: Stage, proxy: KafkaProxy, prefix: str
) -> None:
    """A restore that hangs holds up nobody else: its shard goes to another worker meanwhile."""
    async with stage.worker(prefix) as one, stage.worker(prefix) as other:
        await stage.follower.until_records(400, within_s=30)
        await asyncio.gather(one.until_shards(SHARDS // 2), other.until_shards(SHARDS // 2))
        await one.kill()
        await other.until_shards(SHARDS)
        held = proxy.catch(Api.LIST_OFFSETS, Fault.HOLD)
        await one.start()
        async with asyncio.timeout(20):
            await held.caught.wait()
        assert await restoring(one)
        # A third one takes part of what the first two have.
        async with stage.worker(prefix) as third:
            async with asyncio.timeout(HANDED_OVER_S):
                while not await third.shards():  # noqa: ASYNC110 - a page
                    await asyncio.sleep(0.05)
            assert not held.answered.is_set()
            held.release()
            await stage.everything_is_right(third, one, other)


@pytest.mark.parametrize("is_stopped", [False, True], ids=["joined by another", "and stopped"])
async def test_commit_that_runs_is_waited_for_within_bounds(
    stage: Stage, proxy: KafkaProxy, prefix: str, *, is_stopped: bool
) -> None:
    """A commit without an answer delays a handover by its time-out, and is repeated by nobody."""
    async with stage.worker(prefix) as one:
        await stage.follower.until_records(400, within_s=30)
        held = proxy.catch(Api.END_TXN, Fault.HOLD)
        async with stage.worker(prefix) as other:
            async with asyncio.timeout(20):
                await held.caught.wait()
            if is_stopped:
                assert await one.stop() == 0
            await other.until_shards(SHARDS if is_stopped else SHARDS // 2, within_s=HANDED_OVER_S)
            held.release()
            workers = [other] if is_stopped else [other, one]
            await stage.everything_is_right(*workers)
