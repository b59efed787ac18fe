"""Keys lie in the partition where every other client of Kafka looks for them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import confluent_kafka

from streamer.kafka.partitions import partition_of
from tests.support.kafka_parts import make_topic, read_committed

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

PARTITIONS = 5


async def test_partition_is_the_one_that_another_client_chooses(
    broker: LocalBroker, prefix: str
) -> None:
    """For 200 keys of all lengths and scripts, ours is librdkafka's murmur2 partition."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix, PARTITIONS)
    chosen = random.Random(prefix)  # noqa: S311 - keys, not secrets
    keys = {
        "".join(chosen.choices("abcXYZ019_-é試🐘", k=chosen.randint(1, 40))) for _ in range(199)
    }
    keys.add("us_env_x6Tq1")

    def produce() -> None:
        producer = confluent_kafka.Producer(
            {"bootstrap.servers": servers, "partitioner": "murmur2_random"}
        )
        for key in keys:
            producer.produce(topic, key=key.encode(), value=b"")
        producer.flush()

    await asyncio.to_thread(produce)

    found = {
        (record.key or b"").decode(): partition
        for partition in range(PARTITIONS)
        for record in await read_committed(servers, topic, partition)
    }
    assert found == {key: partition_of(key, PARTITIONS) for key in keys}
    assert set(found.values()) == set(range(PARTITIONS))
