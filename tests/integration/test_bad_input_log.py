"""What `streamer run` finds in Kafka and must refuse: exit 4, a sentence, and nothing written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from confluent_kafka.admin import AdminClient

from streamer.kafka.partitions import partition_of
from tests.support.audit_follower import AuditFollower, ends_of
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import connection_to, make_topic, started
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.broker.local import LocalBroker


async def refused(environ: Mapping[str, str], *words: str) -> None:
    """The worker ends with 4, and a line that has these words; no traceback."""
    async with DaemonProcess(environ) as daemon:
        code = await daemon.ended(within_s=40)
        ended = [line for line in daemon.events() if line["event"] == "daemon.ended"]
    assert (code, len(ended)) == (4, 1), daemon.text[-6000:]
    last = ended[0]
    assert last["exit_code"] == 4
    for word in words:
        assert word in last["reason"]
    # What to do comes after what is wrong.
    assert last["reason"].count(". ") >= 1
    assert "Traceback" not in daemon.text
    assert "exception" not in last


async def test_topics_made_differently_are_refused(broker: LocalBroker, prefix: str) -> None:
    """Unequal partition counts and wrong clean-up policies end it with 4, and are named."""
    servers = broker.bootstrap_servers
    await make_topic(servers, f"{prefix}a.audit", 2)
    await make_topic(servers, f"{prefix}a.checkpoints", 3, cleanup_policy="compact")
    await make_topic(servers, f"{prefix}b.audit", 2, cleanup_policy="compact")
    await make_topic(servers, f"{prefix}c.checkpoints", 2, cleanup_policy="delete")
    await make_topic(servers, f"{prefix}d.checkpoints", 2, cleanup_policy="compact,delete")
    await make_topic(servers, f"{prefix}e.dead-letters", 2, cleanup_policy="compact")
    async with SandboxProcess(events=10, environments=1) as sandbox:
        cases = {
            "a": ("partition counts differ", f"{prefix}a.audit has 2", "a.checkpoints has 3"),
            "b": (f"{prefix}b.audit", "cleanup.policy is compact", "exactly delete"),
            "c": (f"{prefix}c.checkpoints", "cleanup.policy is delete", "exactly compact"),
            "d": (f"{prefix}d.checkpoints", "exactly compact"),
            "e": (f"{prefix}e.dead-letters", "exactly delete"),
        }
        await asyncio.gather(
            *(
                refused(environ_of(sandbox, servers, prefix + case), *words)
                for case, words in cases.items()
            )
        )


async def test_log_that_contradicts_the_settings_is_refused(
    broker: LocalBroker, prefix: str
) -> None:
    """Another account's log, and a log without its checkpoints, are left as they are."""
    servers, audit = broker.bootstrap_servers, f"{prefix}.audit"
    async with (
        SandboxProcess(events=400, environments=4) as sandbox,
        SandboxProcess(events=400, environments=4, seed=2) as another,
        AuditFollower(servers, audit) as follower,
    ):
        environ = environ_of(sandbox, servers, prefix)
        account = (await sandbox.account())["id"]
        other_account = (await another.account())["id"]
        async with DaemonProcess(environ) as daemon:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            assert await daemon.stop() == 0
        before = await asyncio.to_thread(ends_of, servers, audit)
        await refused(environ_of(another, servers, prefix), account, other_account, "TOPIC_PREFIX")
        await _delete(servers, f"{prefix}.checkpoints")
        await refused(environ, "no checkpoint", "was deleted", "restore it")
        # It has made the topic anew by now: that must not be taken for a fresh start.
        await refused(environ, "no checkpoint")
        assert await asyncio.to_thread(ends_of, servers, audit) == before
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def test_audit_topic_that_was_made_anew_is_refused(broker: LocalBroker, prefix: str) -> None:
    """Checkpoints that belong to a deleted audit topic are no position in the new one."""
    servers = broker.bootstrap_servers
    async with SandboxProcess(events=100, environments=2) as sandbox:
        environ = environ_of(sandbox, servers, prefix)
        async with (
            AuditFollower(servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            assert await daemon.stop() == 0
        await _delete(servers, f"{prefix}.audit")
        await refused(environ, "the audit topic was deleted", "TOPIC_PREFIX")
        assert (await asyncio.to_thread(ends_of, servers, f"{prefix}.audit")).written == 0


async def test_shard_that_is_refused_later_does_not_end_its_worker(
    broker: LocalBroker, prefix: str
) -> None:
    """A foreign record in the log is told by `/readyz`, and the other shards go on."""
    servers, audit = broker.bootstrap_servers, f"{prefix}.audit"
    async with (
        SandboxProcess(events=400, environments=6) as sandbox,
        AuditFollower(servers, audit) as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower) as daemon,
    ):
        await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
        environments = list(await sandbox.environments())
        refused = partition_of(environments[0], 4)
        await _write_foreign(servers, audit, refused)
        async with started(connection_to(servers), f"streamer.{audit}.{refused}"):
            # Its next commit is fenced, and it reads back what is there by now.
            await sandbox.emit(environments[0])
            await daemon.until_logged("shard.refused")
        status, page = await daemon.get("/readyz")
        assert status == 503
        assert f"shard {refused} refused: what lies at offset" in page
        others = [one for one in environments if partition_of(one, 4) != refused]
        for environment in others:
            (event_id,) = await sandbox.emit(environment)
            await follower.until_published([(environment, event_id)], within_s=20)
        assert others
        assert await daemon.stop() == 0


async def _write_foreign(servers: str, topic: str, partition: int) -> None:
    """Write what is no record of ours."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{}", b"somebody", partition=partition)
    finally:
        await producer.stop()


async def _delete(servers: str, topic: str) -> None:
    """Delete a topic, and wait until the broker does not know it any more."""
    admin = AdminClient({"bootstrap.servers": servers})
    await asyncio.to_thread(admin.delete_topics([topic], operation_timeout=10)[topic].result)
    async with asyncio.timeout(10):
        while topic in (await asyncio.to_thread(admin.list_topics, timeout=10)).topics:
            pass
