"""A transaction that its coordinator has forgotten: it would hold a partition open for good."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer, TopicPartition

from tests.support.audit_follower import AuditFollower, ends_of
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamer.broker.local import LocalBroker


async def test_transaction_that_nobody_ends_is_ended_at_the_start(
    own_broker: Callable[..., Awaitable[LocalBroker]], prefix: str
) -> None:
    """A start ends what an earlier owner left open, also where the coordinator knows of nothing."""
    # Only so does a broker take what the coordinator was not told of; by accident it comes about
    # when a broker is killed amid a transaction, now and then.
    broker = await own_broker(properties={"transaction.partition.verification.enable": "false"})
    servers, audit = broker.bootstrap_servers, f"{prefix}.audit"
    async with (
        SandboxProcess(events=400, environments=4) as sandbox,
        AuditFollower(servers, audit) as follower,
    ):
        environ = environ_of(sandbox, servers, prefix)
        async with DaemonProcess(environ, follower=follower) as daemon:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            assert await daemon.stop() == 0
        await _leave_open(servers, prefix, 1)
        before = await asyncio.to_thread(ends_of, servers, audit)
        assert before.committed < before.written
        async with DaemonProcess(environ, follower=follower) as daemon:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    (said,) = daemon.events("shard.transaction_left_open")
    assert (said["shard"], said["level"]) == (1, "error")


async def _leave_open(servers: str, prefix: str, shard: int) -> None:
    """Write as the shard's owner, without the coordinator's knowledge, and vanish."""
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=servers, transactional_id=f"streamer.{prefix}.audit.{shard}"
    )
    await producer.start()
    await producer.begin_transaction()
    for name in ("audit", "checkpoints"):
        topic = f"{prefix}.{name}"
        producer._txn_manager._txn_partitions.add(TopicPartition(topic, shard))
        await producer.send_and_wait(topic, b"never committed", b"nobody", partition=shard)
    # Nothing is known to the coordinator, so that this tells it of nothing.
    producer._txn_manager._txn_partitions.clear()
    await producer.abort_transaction()
    await producer.stop()
