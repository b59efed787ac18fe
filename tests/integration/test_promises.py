"""What `streamer` promises, each promise where it is hardest to keep, judged from outside.

These are the tests that `tests/mutants` breaks the code for: each ends on an assertion about ids,
sequence and chain, and each waits only for what also broken code brings about.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import confluent_kafka

from streamer.errors import StreamerError
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import (
    before_commit,
    commit,
    connection_to,
    make_topic,
    outgoing,
    started,
    values,
)
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

TOO_LARGE = 3 * 1024 * 1024
"""A topic takes 1 MB by default, and random bytes do not compress."""


async def test_happy_path_holds(broker: LocalBroker, prefix: str) -> None:
    """Where nothing goes wrong, a backlog and what is new are published, once, in one chain."""
    servers = broker.bootstrap_servers
    async with (
        SandboxProcess(events=300, environments=2) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower) as daemon,
    ):
        await follower.until_records(300, within_s=40)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def test_worker_that_starts_again_repeats_nothing_and_counts_on(
    broker: LocalBroker, prefix: str
) -> None:
    """Every start of a worker goes on in each environment's chain, and knows what it published."""
    servers = broker.bootstrap_servers
    async with (
        SandboxProcess(events=300, environments=2) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
    ):
        daemon = DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower)
        for _ in range(2):
            async with daemon:
                await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
                assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def test_torn_transaction_is_mended(broker: LocalBroker, prefix: str) -> None:
    """Records whose checkpoint was never written are neither forgotten nor published again."""
    servers = broker.bootstrap_servers
    async with (
        SandboxProcess(events=40, environments=1) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
    ):
        daemon = DaemonProcess(
            environ_of(sandbox, servers, prefix, KAFKA__PARTITIONS="1"), follower=follower
        )
        async with daemon:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            first = len(await values(servers, f"{prefix}.checkpoints"))
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            assert await daemon.stop() == 0
        await asyncio.to_thread(_write_again, servers, f"{prefix}.checkpoints", first - 1)
        async with daemon:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            torn = daemon.events("shard.torn_transaction_mended")
            assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert len(torn) == 1


def _write_again(servers: str, topic: str, number: int) -> None:
    """Make the last message of a topic one that was written before: the `number`-th."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": servers, "group.id": topic, "isolation.level": "read_committed"}
    )
    producer = confluent_kafka.Producer({"bootstrap.servers": servers})
    try:
        consumer.assign(
            [confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)]
        )
        messages = consumer.consume(number + 1, 20)
        assert len(messages) == number + 1
        producer.produce(topic, messages[-1].value(), messages[-1].key(), partition=0)
        assert producer.flush(20) == 0
    finally:
        consumer.close()


async def test_event_that_cannot_be_read_is_in_the_chain_and_the_others_too(
    broker: LocalBroker, prefix: str
) -> None:
    """Events that nobody can read are there as stubs, numbered between those around them."""
    servers = broker.bootstrap_servers
    async with (
        SandboxProcess(events=40, environments=1) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower) as daemon,
    ):
        environment = next(iter(await sandbox.environments()))
        await sandbox.emit(environment)
        await sandbox.emit(environment, raw='{"id":"us_evt_bad","topic":7,"createdAt":"@now"}')
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def test_refused_record_leaves_nothing_of_its_transaction(
    broker: LocalBroker, prefix: str
) -> None:
    """One record that the broker does not take, and neither its neighbours nor a checkpoint are."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "checkpoints")]
    async with started(connection_to(servers), prefix) as producer:
        with contextlib.suppress(StreamerError):
            await commit(
                producer,
                {topics[0]: outgoing(b"before", os.urandom(TOO_LARGE))},
                {topics[1]: outgoing(b"upto")},
            )
    async with started(connection_to(servers), prefix):
        seen = [await values(servers, topic) for topic in topics]
    assert seen == [[], []]


async def test_producer_with_a_refused_batch_commits_nothing_any_more(
    broker: LocalBroker, prefix: str
) -> None:
    """What was acknowledged beside a refused message does not appear with a later commit."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "dead-letters")]
    async with started(connection_to(servers), prefix) as producer:
        refused = {topics[0]: outgoing(b"beside"), topics[1]: outgoing(os.urandom(TOO_LARGE))}
        for messages in (refused, {topics[0]: outgoing(b"next")}):
            with contextlib.suppress(StreamerError):
                await commit(producer, messages)
    async with started(connection_to(servers), prefix):
        seen = await values(servers, topics[0])
    assert seen == []


async def test_refused_checkpoint_leaves_nothing_of_its_transaction(
    broker: LocalBroker, prefix: str
) -> None:
    """Records are not there without the checkpoint that belongs to them."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "checkpoints")]
    async with started(connection_to(servers), prefix) as producer:
        with contextlib.suppress(StreamerError):
            await commit(
                producer,
                {topics[0]: outgoing(b"record")},
                {topics[1]: outgoing(os.urandom(TOO_LARGE))},
            )
    async with started(connection_to(servers), prefix):
        seen = [await values(servers, topic) for topic in topics]
    assert seen == [[], []]


async def test_zombie_never_gets_its_transaction_seen(broker: LocalBroker, prefix: str) -> None:
    """What an earlier owner commits after its successor has started is not there."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    connection = connection_to(servers)
    async with started(connection, prefix) as zombie, contextlib.AsyncExitStack() as stack:

        async def succeed() -> None:
            owner = await stack.enter_async_context(started(connection, prefix))
            stack.push_async_callback(commit, owner, {topic: outgoing(b"owner")})

        before_commit(zombie, succeed)
        with contextlib.suppress(StreamerError):
            await commit(zombie, {topic: outgoing(b"zombie")})
        await stack.aclose()
    assert await values(servers, topic) == [b"owner"]
