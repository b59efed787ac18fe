"""The inventory as the topic has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamer.errors import TopicError
from streamer.inventory.message import decode, read_key
from streamer.kafka.client import Connection
from streamer.kafka.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from streamer.config import KafkaSettings
    from streamer.flatfile.objects import Kind
    from streamer.inventory.message import Message


async def from_topic(settings: KafkaSettings, kinds: Collection[Kind]) -> list[Message]:
    """Read what the topic says of objects of these kinds.

    Raises:
        TopicError: There is no such topic.
        KafkaUnreachableError: It cannot be read.
    """
    topic = settings.inventory_topic
    latest: dict[tuple[int, bytes], bytes] = {}
    async with LogReader(Connection(settings)) as reader:
        partitions = await reader.partitions(topic)
        if not partitions:
            raise TopicError(
                where=f"topic {topic}",
                what="it does not exist",
                next_step="Check STREAMER_KAFKA__TOPIC_PREFIX and that `streamer run` has run, "
                "or ask the API with --live.",
            )
        bounds = await asyncio.gather(*(reader.bounds(topic, each) for each in partitions))
        async for chunk in reader.read_all(topic, dict(zip(partitions, bounds, strict=True))):
            for message in chunk:
                known = None if message.key is None else read_key(message.key)
                if message.key is None or known is None or known[0] not in kinds:
                    continue
                if message.value is None:
                    latest.pop((message.partition, message.key), None)
                else:
                    latest[message.partition, message.key] = message.value
    return _newest(latest.values())


def _newest(values: Iterable[bytes]) -> list[Message]:
    """One message an object: what moved to another shard may lie in two partitions."""
    newest: dict[tuple[Kind, str], Message] = {}
    for value in values:
        message = decode(value)
        if message is not None:
            key = (message.kind, message.id)
            before = newest.get(key)
            if before is None or before.last_seen < message.last_seen:
                newest[key] = message
    return list(newest.values())
