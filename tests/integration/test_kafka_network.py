"""Requests that are late, lost or answered to nobody: no transaction is torn by them unnoticed.

The broker sends its clients to a proxy, which catches one request of each test.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from streamer.broker.local import LocalBroker
from streamer.errors import CommitUnknownError, KafkaUnreachableError
from streamer.kafka.reader import LogReader
from tests.integration.conftest import QUICK
from tests.support.kafka_parts import (
    before_commit,
    commit,
    connection_to,
    make_topic,
    outgoing,
    read_committed,
    started,
    values,
)
from tests.support.kafka_proxy import Api, Fault, KafkaProxy, behind_proxy, listening_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

TRANSACTION_S = 2.0
"""A request may take half of it; then aiokafka repeats it, and our commit gives up."""


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Where the broker sends its clients."""
    with listening_socket() as listening:
        yield listening


@pytest.fixture(scope="module")
def proxied_broker(_quick_starts: None, listener: socket.socket) -> Iterator[LocalBroker]:
    """A broker that is reached through a proxy only."""
    with tempfile.TemporaryDirectory(prefix="streamer-broker-") as folder:
        local = LocalBroker(Path(folder), properties=QUICK | behind_proxy(listener))
        asyncio.run(local.start())
        try:
            yield local
        finally:
            local.kill()


@pytest.fixture
async def proxy(proxied_broker: LocalBroker, listener: socket.socket) -> AsyncIterator[KafkaProxy]:
    """The proxy, forwarding everything."""
    async with KafkaProxy(listener, proxied_broker.port) as forwarding:
        yield forwarding


@pytest.fixture
async def topics(proxy: KafkaProxy, prefix: str) -> tuple[str, str]:
    """A topic of records and one of checkpoints."""
    return (
        await make_topic(proxy.servers, f"{prefix}.audit"),
        await make_topic(proxy.servers, f"{prefix}.checkpoints"),
    )


async def test_every_request_of_a_producer_goes_through_the_proxy(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str]
) -> None:
    """A commit sends two batches, checkpoints by themselves, and asks for its end once."""
    async with started(connection_to(proxy.servers), prefix) as producer:
        await commit(producer, {topics[0]: outgoing(b"record")}, {topics[1]: outgoing(b"upto")})

    assert proxy.seen[Api.INIT_PRODUCER_ID] >= 1
    assert proxy.seen[Api.PRODUCE] == 2
    assert proxy.seen[Api.END_TXN] == 1


async def test_late_end_of_a_transaction_can_not_tear_a_later_one(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str]
) -> None:
    """A commit whose EndTxn is held up is unknown in time, and its late copy hits nothing."""
    audit, checkpoints = topics
    connection = connection_to(proxy.servers)
    late = proxy.catch(Api.END_TXN, Fault.HOLD)
    async with started(connection, prefix, transaction_timeout_s=TRANSACTION_S) as producer:
        began = time.monotonic()
        with pytest.raises(CommitUnknownError):
            await commit(producer, {audit: outgoing(b"1")}, {checkpoints: outgoing(b"1")})
        assert time.monotonic() - began < TRANSACTION_S + 1

    async with started(connection, prefix) as successor:
        known = await values(proxy.servers, audit)
        assert known == await values(proxy.servers, checkpoints)

        async def after_the_late_one() -> None:
            late.release()
            await late.answered.wait()
            assert await values(proxy.servers, audit) == known

        before_commit(successor, after_the_late_one)
        await commit(successor, {audit: outgoing(b"2")}, {checkpoints: outgoing(b"2")})

    assert await values(proxy.servers, audit) == [*known, b"2"]
    assert await values(proxy.servers, checkpoints) == [*known, b"2"]


async def test_control_late_end_tears_a_transaction_of_the_same_producer(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str]
) -> None:
    """Control: a producer that goes on after a repeated EndTxn has its next transaction torn."""
    audit, _ = topics
    producer = AIOKafkaProducer(
        bootstrap_servers=proxy.servers, transactional_id=prefix, request_timeout_ms=1000
    )
    await producer.start()
    late = proxy.catch(Api.END_TXN, Fault.HOLD)
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(audit, b"1")
        await producer.commit_transaction()  # returns: the second EndTxn was answered
        assert proxy.seen[Api.END_TXN] == 2

        await producer.begin_transaction()
        await producer.send_and_wait(audit, b"2, whose checkpoint is still to be sent")
        late.release()
        await late.answered.wait()

        seen = await values(proxy.servers, audit)
        assert seen == [b"1", b"2, whose checkpoint is still to be sent"]
    finally:
        async with asyncio.timeout(10):
            await producer.stop()


@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_ANSWER])
async def test_commit_that_lost_its_connection_is_unknown_and_whole(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str], fault: Fault
) -> None:
    """An EndTxn that had to be repeated is not taken for a success; both topics agree after it."""
    audit, checkpoints = topics
    connection = connection_to(proxy.servers)
    async with started(connection, prefix, transaction_timeout_s=TRANSACTION_S) as producer:
        await commit(producer, {audit: outgoing(b"1")}, {checkpoints: outgoing(b"1")})
        proxy.catch(Api.END_TXN, fault)
        with pytest.raises(CommitUnknownError):
            await commit(producer, {audit: outgoing(b"2")}, {checkpoints: outgoing(b"2")})

    async with started(connection, prefix) as successor:
        await commit(successor, {audit: outgoing(b"3")}, {checkpoints: outgoing(b"3")})
    seen = await values(proxy.servers, audit)
    assert seen in ([b"1", b"3"], [b"1", b"2", b"3"])
    assert await values(proxy.servers, checkpoints) == seen


@pytest.mark.parametrize("fault", [Fault.LOSE_REQUEST, Fault.LOSE_ANSWER])
async def test_batch_that_had_to_be_repeated_is_there_once_and_where_it_says(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str], fault: Fault
) -> None:
    """A Produce that lost its connection is repeated without doubling, and its offset holds."""
    audit, _ = topics
    async with started(connection_to(proxy.servers), prefix) as producer:
        caught = proxy.catch(Api.PRODUCE, fault)
        committed = await commit(producer, {audit: outgoing(b"1", b"2")})
        assert caught.caught.is_set()
        assert proxy.seen[Api.PRODUCE] == 2

    seen = await read_committed(proxy.servers, audit)
    assert [(record.offset, record.value) for record in seen] == [
        (committed.offset(audit, 0), b"1"),
        (committed.offset(audit, 1), b"2"),
    ]


async def test_late_batch_of_a_given_up_transaction_is_never_seen(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str]
) -> None:
    """A Produce that arrives after a new producer has started is refused by the broker."""
    audit, checkpoints = topics
    connection = connection_to(proxy.servers)
    late = proxy.catch(Api.PRODUCE, Fault.HOLD, after=1)
    async with started(connection, prefix, transaction_timeout_s=TRANSACTION_S) as producer:
        again = proxy.catch(Api.PRODUCE, Fault.HOLD, after=1)
        with pytest.raises(CommitUnknownError):
            await commit(producer, {audit: outgoing(b"1")}, {checkpoints: outgoing(b"1")})

    async with started(connection, prefix) as successor:
        for caught in (late, again):
            caught.release()
            if caught.caught.is_set():
                await caught.answered.wait()
        await commit(successor, {audit: outgoing(b"2")}, {checkpoints: outgoing(b"2")})

    assert await values(proxy.servers, audit) == [b"2"]
    assert await values(proxy.servers, checkpoints) == [b"2"]


async def test_start_that_gets_no_answer_is_bounded(proxy: KafkaProxy, prefix: str) -> None:
    """A producer that is not given its epoch says so within the start-up time-out."""
    proxy.catch(Api.INIT_PRODUCER_ID, Fault.HOLD)
    began = time.monotonic()
    with pytest.raises(KafkaUnreachableError, match="starting a transactional producer failed"):
        async with started(connection_to(proxy.servers, startup_timeout=1), prefix):
            pass
    assert time.monotonic() - began < 3


async def test_record_appended_during_a_look_up_by_time_is_not_jumped_over(
    proxy: KafkaProxy, prefix: str, topics: tuple[str, str]
) -> None:
    """`at_time` points at or before what was appended between its two requests."""
    audit, _ = topics
    connection = connection_to(proxy.servers)
    async with LogReader(connection) as reader, started(connection, prefix) as producer:
        await commit(producer, {audit: outgoing(b"old")})
        now_ms = int(time.time() * 1000)  # after the old record, and not after the new one
        second = proxy.catch(Api.LIST_OFFSETS, Fault.HOLD, after=1)
        looking = asyncio.create_task(reader.at_time(audit, [0], now_ms))
        async with asyncio.timeout(10):
            await second.caught.wait()
        committed = await commit(producer, {audit: outgoing(b"new")})
        second.release()

        assert (await looking)[0] <= committed.offset(audit, 0)
