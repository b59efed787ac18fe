"""Topics are made as the log needs them, and those that are made otherwise are refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource, ConfigSource

from streamer.errors import KafkaUnreachableError, TopicError
from streamer.kafka.client import Connection
from streamer.kafka.topics import checked, describe, ensure, problems
from tests.support.kafka_parts import kafka_settings, make_topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.broker.local import LocalBroker

EVERY_TOPIC = {"message.timestamp.type": "LogAppendTime", "unclean.leader.election.enable": "false"}
KEPT = {
    **EVERY_TOPIC,
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "compression.type": "producer",
}
COMPACTED = {
    **EVERY_TOPIC,
    "cleanup.policy": "compact",
    "segment.ms": "600000",
    "segment.bytes": "16777216",
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "600000",
}


async def config_of(servers: str, topic: str) -> Mapping[str, str]:
    """What was set on a topic, and is not the broker's own default."""

    def look() -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        admin = AdminClient({"bootstrap.servers": servers})
        (future,) = admin.describe_configs([resource]).values()
        source = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        entries: Mapping[str, Any] = future.result(20)
        return {name: entry.value for name, entry in entries.items() if entry.source == source}

    return await asyncio.to_thread(look)


async def delete(servers: str, topic: str) -> None:
    """Delete a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()


async def test_topics_are_created_as_the_log_needs_them(broker: LocalBroker, prefix: str) -> None:
    """Each topic has exactly the configuration of the design, and the partitions asked for."""
    servers = broker.bootstrap_servers
    settings = kafka_settings(servers, prefix, partitions=3)

    topics = await ensure(Connection(settings), settings)

    assert topics.partitions == 3
    assert topics.names == (
        f"{prefix}.audit",
        f"{prefix}.checkpoints",
        f"{prefix}.dead-letters",
        f"{prefix}.inventory",
    )
    assert await config_of(servers, topics.audit.name) == KEPT
    assert await config_of(servers, topics.dead_letters.name) == KEPT
    assert await config_of(servers, topics.checkpoints.name) == COMPACTED
    assert await config_of(servers, topics.inventory.name) == COMPACTED
    assert await ensure(Connection(settings), settings) == topics


async def test_retention_that_is_configured_is_set(broker: LocalBroker, prefix: str) -> None:
    """A finite retention is in milliseconds, on what is kept for reading, not on checkpoints."""
    settings = kafka_settings(broker.bootstrap_servers, prefix, retention_days=1.5)

    topics = await ensure(Connection(settings), settings)

    config = await config_of(broker.bootstrap_servers, topics.audit.name)
    assert config == KEPT | {"retention.ms": "129600000"}
    assert topics.audit.retention_ms == 129_600_000
    assert await config_of(broker.bootstrap_servers, topics.checkpoints.name) == COMPACTED


async def test_two_workers_may_create_at_once(broker: LocalBroker, prefix: str) -> None:
    """Workers that start together agree on topics that either of them made."""
    settings = kafka_settings(broker.bootstrap_servers, prefix)

    one, two = await asyncio.gather(*(ensure(Connection(settings), settings) for _ in range(2)))

    assert one == two


async def test_missing_topics_take_the_partition_count_of_those_that_exist(
    broker: LocalBroker, prefix: str
) -> None:
    """A topic that is made later lies beside the others, whatever the settings say by now."""
    settings = kafka_settings(broker.bootstrap_servers, prefix, partitions=2)
    await make_topic(broker.bootstrap_servers, settings.audit_topic, 5, cleanup_policy="delete")

    topics = await ensure(Connection(settings), settings)

    assert [topic.partitions for topic in topics.all] == [5] * 4


@pytest.mark.parametrize(
    ("topic", "policy", "needed"),
    [
        ("audit", "compact", "delete"),
        ("audit", "compact,delete", "delete"),
        ("checkpoints", "delete", "compact"),
        ("checkpoints", "compact,delete", "compact"),
        ("dead-letters", "compact", "delete"),
        ("inventory", "delete", "compact"),
    ],
)
async def test_wrong_clean_up_policy_is_refused(
    broker: LocalBroker, prefix: str, topic: str, policy: str, needed: str
) -> None:
    """A policy that would eat the log ends the start, and the message names topic and remedy."""
    name = f"{prefix}.{topic}"
    await make_topic(broker.bootstrap_servers, name, 2, cleanup_policy=policy)
    settings = kafka_settings(broker.bootstrap_servers, prefix)

    with pytest.raises(TopicError) as refusal:
        await ensure(Connection(settings), settings)

    assert refusal.value.exit_code == 4
    assert str(refusal.value).startswith(
        f"topic {name}: cleanup.policy is {policy}, and must be exactly {needed}. "
        f"Set cleanup.policy={needed} on it"
    )


async def test_unequal_partition_counts_are_refused(broker: LocalBroker, prefix: str) -> None:
    """Topics whose partitions do not lie beside each other are named with their counts."""
    settings = kafka_settings(broker.bootstrap_servers, prefix)
    await make_topic(broker.bootstrap_servers, settings.audit_topic, 3, cleanup_policy="delete")
    name = settings.checkpoint_topic
    await make_topic(broker.bootstrap_servers, name, 2, cleanup_policy="compact")

    with pytest.raises(TopicError, match="their partition counts differ") as refusal:
        await ensure(Connection(settings), settings)

    assert f"{prefix}.audit has 3, {prefix}.checkpoints has 2" in str(refusal.value)


async def test_missing_topics_are_found_and_none_is_made(broker: LocalBroker, prefix: str) -> None:
    """Looking creates nothing, and every missing topic is a problem with a remedy."""
    settings = kafka_settings(broker.bootstrap_servers, prefix)
    for _ in range(2):
        found = await describe(Connection(settings), settings)
        assert found == {}
        assert [problem.where for problem in problems(found, settings)] == [
            f"topic {prefix}.{name}"
            for name in ("audit", "checkpoints", "dead-letters", "inventory")
        ]
        with pytest.raises(TopicError, match=r"does not exist\. Run `streamer topics create`"):
            checked(found, settings)


async def test_topic_that_was_made_again_has_another_id(broker: LocalBroker, prefix: str) -> None:
    """A topic deleted and created anew under its old name is known to be another one."""
    settings = kafka_settings(broker.bootstrap_servers, prefix)
    connection = Connection(settings)
    old = await ensure(connection, settings)
    await delete(broker.bootstrap_servers, settings.audit_topic)
    async with asyncio.timeout(10):
        while settings.audit_topic in await describe(connection, settings):
            pass

    new = await ensure(connection, settings)

    assert new.audit.id != old.audit.id
    assert new.checkpoints.id == old.checkpoints.id


async def test_replication_that_the_cluster_can_not_give_is_refused(
    broker: LocalBroker, prefix: str
) -> None:
    """A factor beyond the number of brokers is a sentence about the topic."""
    settings = kafka_settings(broker.bootstrap_servers, prefix, replication_factor=3)

    with pytest.raises(TopicError, match=rf"topic {prefix}\.audit: cannot create it: .*[Rr]eplic"):
        await ensure(Connection(settings), settings)


@pytest.mark.parametrize("call", [ensure, describe])
async def test_no_broker_is_told_in_time_and_in_words(prefix: str, call: Any) -> None:  # noqa: ANN401
    """Where nothing listens, the error says so within the time-out, and may be tried again."""
    settings = kafka_settings("127.0.0.1:1", prefix, startup_timeout=2)

    async with asyncio.timeout(3):
        with pytest.raises(KafkaUnreachableError) as refusal:
            await call(Connection(settings), settings)

    assert refusal.value.exit_code == 4
    assert refusal.value.retriable
    assert "Kafka at 127.0.0.1:1: connecting failed: " in str(refusal.value)
    assert "Connect call failed" in str(refusal.value)
    assert "STREAMER_KAFKA__BOOTSTRAP_SERVERS" in refusal.value.next_step
