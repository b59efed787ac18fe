"""A reader sees every committed record up to the end that it asked for, and no other."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from streamer.errors import KafkaUnreachableError, ShardRefusedError
from streamer.kafka import reader as reader_module
from streamer.kafka.reader import CHUNK, LogReader
from tests.support.kafka_parts import (
    commit,
    connection_to,
    end_reaches,
    make_topic,
    outgoing,
    read_committed,
    started,
)
from tests.support.stranger import write_undecodable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from streamer.broker.local import LocalBroker
    from streamer.kafka.reader import Message


@pytest.fixture
async def reader(broker: LocalBroker) -> AsyncIterator[LogReader]:
    """A reader of the shared broker."""
    async with LogReader(connection_to(broker.bootstrap_servers)) as log_reader:
        yield log_reader


@pytest.fixture
async def other(broker: LocalBroker, prefix: str) -> AsyncIterator[AIOKafkaProducer]:
    """Another writer, with a transactional id of its own, which is not in a transaction."""
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, transactional_id=f"{prefix}.other"
    )
    await producer.start()
    yield producer
    await producer.stop()


async def whole(reader: LogReader, topic: str, partition: int = 0) -> list[bytes]:
    """The values from beginning to end."""
    start, end = await reader.bounds(topic, partition)
    return [
        m.value or b"" async for chunk in reader.read(topic, partition, start, end) for m in chunk
    ]


async def publish(broker: LocalBroker, topic: str, *texts: bytes, partition: int = 0) -> None:
    """Commit these values."""
    connection = connection_to(broker.bootstrap_servers)
    async with started(connection, f"{topic}.{partition}", partition=partition) as producer:
        await commit(producer, {topic: outgoing(*texts)})


async def test_other_topics_are_found_after_one_was_read(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """A reader that has read one topic to its end fetches no more of it, and knows all others."""
    first, second = [
        await make_topic(broker.bootstrap_servers, f"{prefix}.{name}") for name in ("a", "b")
    ]
    for topic in (first, second):
        await publish(broker, topic, topic.encode())
    assert await whole(reader, first) == [first.encode()]
    assert not reader._committed.assignment()
    assert await reader.partitions(second) == [0]
    assert await whole(reader, second) == [second.encode()]


async def test_a_header_that_the_client_cannot_decode_is_said(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """What a stranger wrote ends a reader with a sentence, not with the client's exception."""
    topic = await make_topic(broker.bootstrap_servers, prefix)
    await write_undecodable(broker.bootstrap_servers, topic)
    with pytest.raises(ShardRefusedError, match=f"topic {prefix}: .*not UTF-8"):
        await whole(reader, topic)


async def test_reading_ends_though_the_log_ends_in_markers(
    broker: LocalBroker, prefix: str, reader: LogReader, other: AIOKafkaProducer
) -> None:
    """Aborted records are skipped, and the markers at the end are no records to wait for."""
    topic = await make_topic(broker.bootstrap_servers, prefix)
    await publish(broker, topic, b"a", b"b")
    for _ in range(3):
        await other.begin_transaction()
        await other.send_and_wait(topic, b"aborted")
        await other.abort_transaction()
    await end_reaches(broker.bootstrap_servers, topic, 9)

    assert await whole(reader, topic) == [b"a", b"b"]


async def test_partition_of_nothing_but_aborted_records_is_read_to_its_end(
    broker: LocalBroker, prefix: str, reader: LogReader, other: AIOKafkaProducer
) -> None:
    """Where nothing was ever committed, reading ends, with nothing."""
    topic = await make_topic(broker.bootstrap_servers, prefix)
    assert await whole(reader, topic) == []
    await other.begin_transaction()
    await other.send_and_wait(topic, b"aborted")
    await other.abort_transaction()
    await end_reaches(broker.bootstrap_servers, topic, 2)

    assert await whole(reader, topic) == []


async def test_records_behind_an_open_transaction_are_waited_for(
    broker: LocalBroker, prefix: str, reader: LogReader, other: AIOKafkaProducer
) -> None:
    """What is committed behind another writer's open transaction is read once that one ended."""
    topic = await make_topic(broker.bootstrap_servers, prefix)
    await publish(broker, topic, b"before")
    await other.begin_transaction()
    await other.send_and_wait(topic, b"open")
    await publish(broker, topic, b"behind")
    # Every reader is told that the log ends here; ours knows better.
    assert [m.value for m in await read_committed(broker.bootstrap_servers, topic)] == [b"before"]

    reading = asyncio.create_task(whole(reader, topic))
    finished, _ = await asyncio.wait([reading], timeout=1)
    assert not finished
    await other.abort_transaction()

    assert await reading == [b"before", b"behind"]


async def test_transaction_that_stays_open_is_an_error_and_not_an_end(
    broker: LocalBroker,
    prefix: str,
    reader: LogReader,
    other: AIOKafkaProducer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader that is held up for too long says that another writer holds it up."""
    monkeypatch.setattr(reader_module, "STUCK_AFTER_S", 0.5)
    topic = await make_topic(broker.bootstrap_servers, prefix)
    await other.begin_transaction()
    await other.send_and_wait(topic, b"open")
    await publish(broker, topic, b"behind")

    with pytest.raises(KafkaUnreachableError, match="holds a transaction open") as stuck:
        await whole(reader, topic)
    assert f"{topic}-0" in str(stuck.value)
    await other.abort_transaction()


async def test_several_partitions_are_read_each_to_its_own_end(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """Spans are kept to, whatever lies before and behind them, and an empty one reads nothing."""
    topic = await make_topic(broker.bootstrap_servers, prefix, 4)
    for partition in range(4):
        texts = [b"%d/%d" % (partition, number) for number in range(10)]
        await publish(broker, topic, *texts, partition=partition)

    spans = {0: (0, 11), 1: (3, 7), 2: (5, 5), 3: (9, 10)}
    got = [m.value async for chunk in reader.read_all(topic, spans) for m in chunk]

    assert sorted(value or b"" for value in got) == sorted(
        [b"0/%d" % number for number in range(10)]
        + [b"1/%d" % number for number in range(3, 7)]
        + [b"3/9"]
    )


async def test_records_appended_while_reading_are_left_out(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """The end is the one that was asked for, and not a moving one."""
    topic = await make_topic(broker.bootstrap_servers, prefix)
    texts = [b"%d" % number for number in range(CHUNK + 500)]
    await publish(broker, topic, *texts)
    start, end = await reader.bounds(topic, 0)
    await publish(broker, topic, b"late, and fetched along with the others")

    got: list[bytes | None] = []
    async for chunk in reader.read(topic, 0, start, end):
        if not got:
            await publish(broker, topic, b"later")
        got += [message.value for message in chunk]

    assert got == texts


async def test_log_that_retention_has_cut_is_read_from_where_it_begins(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """A start before the log's own is no error and no hang: what is left is read."""
    topic = await make_topic(broker.bootstrap_servers, prefix)
    await publish(broker, topic, *(b"%d" % number for number in range(10)))
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=6)})
    await admin.close()

    _, end = await reader.bounds(topic, 0)
    got = [m.value async for chunk in reader.read(topic, 0, 2, end) for m in chunk]

    assert got == [b"6", b"7", b"8", b"9"]


async def test_time_is_never_looked_up_too_late(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """From where `at_time` points to, every record appended since is read."""
    topic = await make_topic(
        broker.bootstrap_servers, prefix, message_timestamp_type="LogAppendTime"
    )
    for number in range(4):
        await publish(broker, topic, b"%d" % number)
    records = await read_committed(broker.bootstrap_servers, topic)

    for record in records:
        at = await reader.at_time(topic, [0], record.timestamp_ms)
        since = [r.offset for r in records if r.timestamp_ms >= record.timestamp_ms]
        assert at[0] <= min(since)
    later_ms = round(time.time() * 1000) + 60_000
    assert await reader.at_time(topic, [0], later_ms) == {0: (await reader.bounds(topic, 0))[1]}


async def test_follower_sees_what_is_committed_later(
    broker: LocalBroker, prefix: str, reader: LogReader, other: AIOKafkaProducer
) -> None:
    """Following begins at the offset given and goes on with what commits, without what aborts."""
    topic = await make_topic(broker.bootstrap_servers, prefix, 2)
    await publish(broker, topic, b"old", b"known")
    arrived: asyncio.Queue[Message] = asyncio.Queue()

    async def follow() -> None:
        async for chunk in reader.follow(topic, {0: 1, 1: 0}):
            for message in chunk:
                arrived.put_nowait(message)

    following = asyncio.create_task(follow())
    assert await values_of(arrived, 1) == [b"known"]
    await other.begin_transaction()
    await other.send_and_wait(topic, b"aborted", partition=0)
    await other.abort_transaction()
    await publish(broker, topic, b"later")
    await publish(broker, topic, b"beside", partition=1)
    assert sorted(await values_of(arrived, 2)) == [b"beside", b"later"]
    following.cancel()
    await asyncio.wait([following])


async def values_of(arrived: asyncio.Queue[Message], count: int) -> Sequence[bytes]:
    """The values of the next messages."""
    async with asyncio.timeout(20):
        return [(await arrived.get()).value or b"" for _ in range(count)]


async def test_partitions_of_a_topic_are_known_as_soon_as_it_is_made(
    broker: LocalBroker, prefix: str, reader: LogReader
) -> None:
    """A topic that does not exist has none, and one made since has all of its own."""
    assert await reader.partitions(prefix) == []
    await make_topic(broker.bootstrap_servers, prefix, 3)
    assert await reader.partitions(prefix) == [0, 1, 2]


async def test_broker_that_is_lost_while_it_is_read_is_said(
    own_broker: Callable[..., Awaitable[LocalBroker]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading ends with a sentence, although the client is in the middle of an attempt."""
    monkeypatch.setattr(reader_module, "STUCK_AFTER_S", 1.0)
    broker = await own_broker()
    topic = await make_topic(broker.bootstrap_servers, "t")
    await publish(broker, topic, b"1")

    async def read_on() -> None:
        async with LogReader(connection_to(broker.bootstrap_servers, startup_timeout=5)) as reader:
            end = (await reader.bounds(topic, 0))[1]
            async for _ in reader.read(topic, 0, 0, end + 1):
                broker.kill()

    with pytest.raises(KafkaUnreachableError, match="has not moved for 1 s"):
        await read_on()


STEPS = 16
"""More than it takes the loop to close a reader; the last ones find it closed."""


async def test_reader_that_is_cancelled_while_it_closes_is_not_left_running(
    broker: LocalBroker,
) -> None:
    """Whichever step of it: the client takes some of them for the end of a task of its own."""
    outcomes = []
    for steps in range(1, STEPS):
        reader = LogReader(connection_to(broker.bootstrap_servers))
        await reader.__aenter__()
        closing = asyncio.ensure_future(reader.__aexit__())
        for _ in range(steps):
            await asyncio.sleep(0)
        outcomes.append(closing.cancel())
        await asyncio.wait({closing})
        assert closing.cancelled() == outcomes[-1], f"cancelled at step {steps}, and went on"
    assert outcomes[0], "no reader was still closing"
    assert not outcomes[-1], "no reader had closed"
