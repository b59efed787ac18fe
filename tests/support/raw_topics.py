"""Every byte that lies in topics: keys, values and headers, also of what was aborted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import confluent_kafka

if TYPE_CHECKING:
    from collections.abc import Iterator


def pieces_of(servers: str, topics: list[str]) -> Iterator[bytes]:
    """Key, value and headers of everything in these topics, what was aborted as well."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "pieces",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "enable.partition.eof": True,
        }
    )
    try:
        parts = [
            confluent_kafka.TopicPartition(topic, number, confluent_kafka.OFFSET_BEGINNING)
            for topic in topics
            for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ]
        consumer.assign(parts)
        left = len(parts)
        while left:
            message = consumer.poll(20)
            assert message is not None
            if message.error() is not None:
                left -= 1
                continue
            headers = message.headers() or []
            assert isinstance(headers, list)
            for piece in (
                message.key(),
                message.value(),
                *(name.encode() for name, _ in headers),
                *(value for _, value in headers),
            ):
                if isinstance(piece, bytes):
                    yield piece
    finally:
        consumer.close()
