"""What the tests of `streamer.kafka` begin with: settings, topics, and an independent reader.

The reader is another client's (librdkafka), which shares no line of code with what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING, Any, NamedTuple

import confluent_kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.config import KafkaSettings
from streamer.kafka.client import Connection
from streamer.kafka.transaction import Outgoing, TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence


class Seen(NamedTuple):
    """A record as the independent reader sees it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


def kafka_settings(servers: str, prefix: str, **options: Any) -> KafkaSettings:  # noqa: ANN401 (as KafkaSettings)
    """Settings for short tests: everything that waits, waits for seconds only."""
    quick: dict[str, Any] = {"session_timeout": 2, "startup_timeout": 10, "partitions": 2}
    return KafkaSettings(
        **{"bootstrap_servers": (servers,), "topic_prefix": prefix, **quick, **options}
    )


def connection_to(servers: str, **options: Any) -> Connection:  # noqa: ANN401 (as KafkaSettings)
    """A connection with quick settings."""
    return Connection(kafka_settings(servers, "unused", **options))


async def make_topic(servers: str, topic: str, partitions: int = 1, **config: str) -> str:
    """Create a topic, and return its name; dots of a configuration are written as underscores."""
    configs = {name.replace("_", "."): value for name, value in config.items()}
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        answer: Any = await admin.create_topics(
            [NewTopic(topic, partitions, 1, topic_configs=configs)]
        )
    finally:
        await admin.close()
    assert [error[1] for error in answer.topic_errors] == [0]
    return topic


async def read_committed(servers: str, topic: str, partition: int = 0) -> Sequence[Seen]:
    """What a `read_committed` consumer sees up to the last stable offset."""
    return await asyncio.to_thread(_read, servers, topic, partition)


def _read(servers: str, topic: str, partition: int) -> list[Seen]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": topic,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,  # the end is told only once a fetch came back empty
        }
    )
    seen: list[Seen] = []
    try:
        beginning = confluent_kafka.OFFSET_BEGINNING
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, beginning)])
        while True:
            message = consumer.poll(20)
            assert message is not None, f"no answer about {topic}-{partition}"
            error = message.error()
            if error is None:
                offset = message.offset()
                assert offset is not None
                seen.append(Seen(offset, message.key(), message.value(), message.timestamp()[1]))
            elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                return seen
    finally:
        consumer.close()


async def values(servers: str, topic: str, partition: int = 0) -> list[bytes | None]:
    """The values that a `read_committed` consumer sees."""
    return [record.value for record in await read_committed(servers, topic, partition)]


async def end_reaches(servers: str, topic: str, end: int, *, within_s: float = 20) -> None:
    """Wait until the high watermark of partition 0 is there: markers of transactions count."""

    def look() -> int:
        consumer = confluent_kafka.Consumer({"bootstrap.servers": servers, "group.id": topic})
        try:
            return consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0))[1]
        finally:
            consumer.close()

    async with asyncio.timeout(within_s):
        while await asyncio.to_thread(look) < end:
            pass


@contextlib.asynccontextmanager
async def started(
    connection: Connection,
    transactional_id: str,
    *,
    partition: int = 0,
    compression: str = "zstd",
    transaction_timeout_s: float = 10.0,
) -> AsyncIterator[TransactionalProducer]:
    """A producer of ours, started, and thrown away at the end."""
    producer = TransactionalProducer(
        connection,
        transactional_id=transactional_id,
        partition=partition,
        compression=compression,
        transaction_timeout_s=transaction_timeout_s,
    )
    try:
        await producer.start()
        yield producer
    finally:
        await producer.discard()


def before_commit(producer: TransactionalProducer, do: Callable[[], Awaitable[None]]) -> None:
    """Let something happen when everything is sent and acknowledged, and only EndTxn is missing."""
    inner: Any = producer._producer
    commit_transaction = inner.commit_transaction

    async def interrupted() -> None:
        await do()
        await commit_transaction()

    inner.commit_transaction = interrupted


async def nothing_left(before: set[asyncio.Task[Any]]) -> None:
    """Assert that no task runs but those from before, and that nothing was left unclosed."""
    for _ in range(5):  # what was cancelled takes a turn of the loop to end
        await asyncio.sleep(0)
    left = [str(task) for task in asyncio.all_tasks() - before]
    assert left == []
    gc.collect()  # whatever warns when it is collected, does so in this test


def outgoing(*texts: bytes) -> list[Outgoing]:
    """Messages with these values."""
    return [Outgoing(b"key", text) for text in texts]


async def commit(
    producer: TransactionalProducer,
    messages: Mapping[str, Sequence[Outgoing]],
    last: Mapping[str, Sequence[Outgoing]] | None = None,
) -> Any:  # noqa: ANN401 (Committed, which the caller looks into)
    """Commit messages, and what is to go last."""
    return await producer.commit(messages, last=lambda _: last or {})
