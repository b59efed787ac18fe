"""What a checkpoint topic says of each environment, read as any consumer would."""

from __future__ import annotations

import json
from typing import Any

import confluent_kafka


def checkpoints_of(servers: str, topic: str) -> dict[str, dict[str, Any]]:
    """Return the last committed checkpoint of each environment, by its id."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "checkpoints",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    found: dict[str, dict[str, Any]] = {}
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign(
            [
                confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING)
                for number in numbers
            ]
        )
        left = len(numbers)
        while left:
            message = consumer.poll(20)
            assert message is not None
            if message.error() is not None:
                left -= 1
                continue
            key, value = message.key() or b"", message.value()
            assert isinstance(key, bytes)
            if value and not key.startswith(b"_"):
                found[key.decode()] = json.loads(value)
    finally:
        consumer.close()
    return found
