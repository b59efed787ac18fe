"""A transaction of ours: all of it or nothing, where it says, and never quietly incomplete."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from streamer.errors import CommitUnknownError
from streamer.kafka.transaction import MAX_BATCH_BYTES, Committed, Outgoing
from tests.support.kafka_parts import (
    commit,
    connection_to,
    make_topic,
    outgoing,
    read_committed,
    started,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.broker.local import LocalBroker


async def test_nothing_is_visible_before_the_commit_and_all_of_it_after(
    broker: LocalBroker, prefix: str
) -> None:
    """Records of all topics become visible together, at the commit."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "checkpoints")]
    async with started(connection_to(servers), prefix) as producer:
        inner = producer._producer
        await inner.begin_transaction()
        for topic in topics:
            await inner.send_and_wait(topic, b"flushed, not committed", partition=0)
        assert [await values(servers, topic) for topic in topics] == [[], []]
    async with started(connection_to(servers), prefix) as producer:
        await commit(producer, {topics[0]: outgoing(b"a", b"b")}, {topics[1]: outgoing(b"c")})
        assert [await values(servers, topic) for topic in topics] == [[b"a", b"b"], [b"c"]]


@pytest.mark.parametrize("compression", ["none", "zstd"])
async def test_offsets_are_those_that_another_client_sees(
    broker: LocalBroker, prefix: str, compression: str
) -> None:
    """`Committed.offset` is the record's offset, over several batches, topics and transactions."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "dead-letters")]
    size = MAX_BATCH_BYTES // 40
    expected: dict[str, dict[bytes | None, int]] = {topic: {} for topic in topics}
    async with started(connection_to(servers), prefix, compression=compression) as producer:
        for number in range(3):
            sent = {
                topic: outgoing(*(f"{number}/{index}/".encode().ljust(size) for index in range(95)))
                for topic in topics[: 1 + number % 2]
            }
            committed = await commit(producer, sent)
            for topic, messages in sent.items():
                assert len(committed.runs[topic]) == 3
                for index, message in enumerate(messages):
                    expected[topic][message.value] = committed.offset(topic, index)

    for topic in topics:
        seen = await read_committed(servers, topic)
        assert {record.value: record.offset for record in seen} == expected[topic]


async def test_what_goes_last_is_told_where_the_rest_lies(broker: LocalBroker, prefix: str) -> None:
    """Checkpoints are made from the real offsets, and commit with the records they speak of."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, f"{prefix}.audit")
    checkpoints = await make_topic(servers, f"{prefix}.checkpoints")

    def last(committed: Committed) -> Mapping[str, Sequence[Outgoing]]:
        return {checkpoints: outgoing(str(committed.offset(topic, 1)).encode())}

    async with started(connection_to(servers), prefix) as producer:
        for _ in range(2):
            await producer.commit({topic: outgoing(b"a", b"b")}, last=last)

    offsets = [record.offset for record in await read_committed(servers, topic)]
    told = [int(value or b"") for value in await values(servers, checkpoints)]
    assert told == [offsets[1], offsets[3]]


async def test_keys_headers_and_tombstones_arrive_unchanged(
    broker: LocalBroker, prefix: str
) -> None:
    """A message without a value is a tombstone, and keys are bytes as given."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix, cleanup_policy="compact")
    async with started(connection_to(servers), prefix) as producer:
        await commit(producer, {topic: [Outgoing(b"us_env_1", b"{}"), Outgoing(b"us_env_2", None)]})

    seen = await read_committed(servers, topic)
    assert [(record.key, record.value) for record in seen] == [
        (b"us_env_1", b"{}"),
        (b"us_env_2", None),
    ]


async def test_timestamps_are_milliseconds(broker: LocalBroker, prefix: str) -> None:
    """On a topic that keeps the producer's time, a record is dated now."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix, message_timestamp_type="CreateTime")
    before_ms = time.time() * 1000
    async with started(connection_to(servers), prefix) as producer:
        await commit(producer, {topic: outgoing(b"now")})

    (record,) = await read_committed(servers, topic)
    assert before_ms - 1 <= record.timestamp_ms <= time.time() * 1000 + 1


async def test_partition_is_the_producers_own_in_every_topic(
    broker: LocalBroker, prefix: str
) -> None:
    """All messages go to the partition of the shard, whatever their key."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix, 3)
    async with started(connection_to(servers), prefix, partition=2) as producer:
        await commit(producer, {topic: [Outgoing(b"%d" % key, b"v") for key in range(20)]})

    assert [len(await values(servers, topic, partition)) for partition in range(3)] == [0, 0, 20]


async def test_commit_whose_end_was_asked_for_twice_is_unknown(
    broker: LocalBroker, prefix: str
) -> None:
    """A second EndTxn in one commit makes its outcome unknown, though the broker says it is fine.

    The late copy of the request could hit, and tear, a later transaction of this producer.
    """
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    async with started(connection_to(servers), prefix) as producer:
        await commit(producer, {topic: outgoing(b"first")})
        client: Any = producer._producer.client
        send = client.send

        async def twice(node_id: int, request: object, **options: object) -> object:
            if type(request).__name__ == "EndTxnRequest":
                await send(node_id, request, **options)
            return await send(node_id, request, **options)

        client.send = twice
        with pytest.raises(CommitUnknownError, match=r"its end was asked for [2-9]\d* times"):
            await commit(producer, {topic: outgoing(b"second")})
