"""A checkpoint that counts records which are not there, and nothing else behind its tail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import read_committed
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker


async def test_checkpoint_whose_records_all_vanished_is_mended_from_those_before(
    broker: LocalBroker, prefix: str
) -> None:
    """Sequence and chain go on behind the last record that is there, far before the tail."""
    servers = broker.bootstrap_servers
    async with (
        # Old events: at a restart none of them need be read back.
        SandboxProcess(events=100, environments=2, days=30) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
    ):
        environ = environ_of(sandbox, servers, prefix, KAFKA__PARTITIONS="1")
        environ |= {"STREAMER_CAPTURE__SWEEP_WINDOW": "60"}
        environment = next(iter(await sandbox.environments()))
        async with DaemonProcess(environ, follower=follower) as daemon:
            await follower.until_records(100, within_s=30)
            assert await daemon.stop() == 0
            before = await _count_one_more(servers, prefix, environment)
            await daemon.start()
            said = await daemon.until_logged("shard.torn_transaction_mended")
            assert said["environment"] == environment
            assert (said["checkpoint_sequence"], said["records_sequence"]) == (before + 1, before)
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def _count_one_more(servers: str, prefix: str, environment: str) -> int:
    """Write a checkpoint that counts a record more, behind the end; return the true sequence."""
    topic, audit = f"{prefix}.checkpoints", f"{prefix}.audit"
    written = await read_committed(servers, topic)
    newest = [one.value for one in written if one.key == environment.encode()][-1]
    checkpoint: dict[str, Any] = json.loads(newest or b"")
    sequence: int = checkpoint["sequence"]
    end = (await read_committed(servers, audit))[-1].offset + 2
    checkpoint |= {"sequence": sequence + 1, "head": "ff" * 32, "tail": end, "last": end}
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        await producer.send_and_wait(topic, json.dumps(checkpoint).encode(), environment.encode())
    finally:
        await producer.stop()
    return sequence
