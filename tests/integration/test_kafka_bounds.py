"""Every call ends, and leaves nothing behind, also when the broker does not answer."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamer.broker.local import LocalBroker
from streamer.errors import CommitUnknownError, KafkaUnreachableError
from streamer.kafka import reader as reader_module
from streamer.kafka.client import Connection
from streamer.kafka.group import Membership
from streamer.kafka.reader import LogReader
from streamer.kafka.transaction import DISCARD_WITHIN_S, TransactionalProducer
from tests.integration.conftest import QUICK
from tests.support.kafka_group import Owner
from tests.support.kafka_parts import (
    before_commit,
    commit,
    connection_to,
    kafka_settings,
    make_topic,
    nothing_left,
    outgoing,
    started,
    values,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TRANSACTION_S = 2.0
SLACK_S = 1.5
"""A machine under load is slow to wake up; twice the bound would be no bound."""


@pytest.fixture(scope="module")
def fragile_broker(_quick_starts: None) -> Iterator[LocalBroker]:
    """A broker that the tests here pause and kill, one after the other."""
    with tempfile.TemporaryDirectory(prefix="streamer-broker-") as folder:
        local = LocalBroker(Path(folder), properties=QUICK)
        asyncio.run(local.start())
        try:
            yield local
        finally:
            local.kill()


@pytest.fixture
async def fragile(fragile_broker: LocalBroker) -> AsyncIterator[LocalBroker]:
    """The broker, running, and running again afterwards."""
    yield fragile_broker
    fragile_broker.resume()
    if fragile_broker.pid is None:
        await fragile_broker.start()


def producer_of(servers: str, transactional_id: str, **options: float) -> TransactionalProducer:
    """A producer with a short time-out, not started."""
    return TransactionalProducer(
        connection_to(servers, **options),
        transactional_id=transactional_id,
        partition=0,
        compression="zstd",
        transaction_timeout_s=TRANSACTION_S,
    )


@pytest.mark.parametrize(
    ("when", "how"), [("sending", "pause"), ("committing", "pause"), ("committing", "kill")]
)
async def test_broker_that_is_gone_bounds_commit_and_discard(
    fragile: LocalBroker, prefix: str, when: str, how: str
) -> None:
    """A commit without a broker is unknown in time, and what is thrown away leaves no task."""
    servers = fragile.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "checkpoints")]
    before = asyncio.all_tasks()
    producer = producer_of(servers, prefix)
    await producer.start()
    await commit(producer, {topic: outgoing(b"first") for topic in topics})

    async def strike() -> None:
        (fragile.pause if how == "pause" else fragile.kill)()

    if when == "sending":
        await strike()
    else:
        before_commit(producer, strike)

    began = time.monotonic()
    with pytest.raises(CommitUnknownError):
        await commit(producer, {topics[0]: outgoing(b"second")}, {topics[1]: outgoing(b"second")})
    assert time.monotonic() - began < TRANSACTION_S * 1.5 + SLACK_S
    began = time.monotonic()
    await producer.discard()
    assert time.monotonic() - began < DISCARD_WITHIN_S + SLACK_S
    del producer
    await nothing_left(before)

    fragile.resume()
    if how == "kill":
        await fragile.start()
    async with started(connection_to(servers, startup_timeout=20), prefix) as successor:
        await commit(successor, {topic: outgoing(b"third") for topic in topics})
    seen = [await values(servers, topic) for topic in topics]
    assert seen[0] == seen[1]
    assert seen[0] in ([b"first", b"third"], [b"first", b"second", b"third"])


async def test_paused_broker_bounds_start(fragile: LocalBroker, prefix: str) -> None:
    """A producer that can not start says so in time, and leaves no task behind."""
    fragile.pause()
    before = asyncio.all_tasks()
    producer = producer_of(fragile.bootstrap_servers, prefix, startup_timeout=1)

    began = time.monotonic()
    with pytest.raises(KafkaUnreachableError, match="no answer in time"):
        await producer.start()
    await producer.discard()

    assert time.monotonic() - began < 1 + SLACK_S
    del producer
    await nothing_left(before)


async def test_discard_in_a_transaction_leaves_nothing_visible(
    broker: LocalBroker, prefix: str
) -> None:
    """A commit that is cancelled half-way is aborted by the next producer of the same id."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    before = asyncio.all_tasks()
    producer = producer_of(servers, prefix)
    await producer.start()
    reached = asyncio.Event()

    async def never() -> None:
        reached.set()
        await asyncio.Event().wait()

    before_commit(producer, never)
    commit_task = asyncio.create_task(commit(producer, {topic: outgoing(b"half-way")}))
    await reached.wait()
    commit_task.cancel()
    await asyncio.wait([commit_task])
    await producer.discard()
    del producer, commit_task
    await nothing_left(before)

    async with started(connection_to(servers), prefix) as successor:
        await commit(successor, {topic: outgoing(b"next")})
    assert await values(servers, topic) == [b"next"]


async def test_producer_whose_discard_is_cancelled_leaves_nothing(
    broker: LocalBroker, prefix: str
) -> None:
    """A shard may be cancelled while it throws its producer away: connections end all the same."""
    before = asyncio.all_tasks()
    producer = producer_of(broker.bootstrap_servers, prefix)
    await producer.start()
    discarding = asyncio.create_task(producer.discard())
    await asyncio.sleep(0)  # Up to where it waits for the client's own tasks.
    discarding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await discarding
    del producer, discarding
    await nothing_left(before)


async def test_paused_broker_bounds_reading(
    fragile: LocalBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader whose broker stops answering says so in time, and leaves no task behind."""
    monkeypatch.setattr(reader_module, "STUCK_AFTER_S", 1.0)
    servers = fragile.bootstrap_servers
    topic = await make_topic(servers, prefix)
    async with started(connection_to(servers), prefix) as producer:
        await commit(producer, {topic: outgoing(b"1", b"2")})
    before = asyncio.all_tasks()
    async with LogReader(connection_to(servers, startup_timeout=1)) as reader:
        start, end = await reader.bounds(topic, 0)
        fragile.pause()
        began = time.monotonic()
        with pytest.raises(KafkaUnreachableError, match="the broker is away"):
            async for _ in reader.read(topic, 0, start, end):
                pass
        with pytest.raises(KafkaUnreachableError, match="asking for the bounds"):
            await reader.bounds(topic, 0)
        with pytest.raises(KafkaUnreachableError, match="looking for a time"):
            await reader.at_time(topic, [0], 0)
        with pytest.raises(KafkaUnreachableError, match="looking at topic"):
            await reader.partitions(topic)
    assert time.monotonic() - began < 1 + 3 * 1 + 2 * 1 + SLACK_S
    del reader
    await nothing_left(before)


async def test_paused_broker_bounds_membership(fragile: LocalBroker, prefix: str) -> None:
    """Asking and leaving end in time though nobody answers; the shards are given back first."""
    settings = kafka_settings(fragile.bootstrap_servers, prefix, startup_timeout=2)
    await make_topic(fragile.bootstrap_servers, settings.checkpoint_topic, 2)
    before = asyncio.all_tasks()
    owner = Owner()
    membership = Membership(Connection(settings), settings, owner)
    await membership.join()
    await owner.until(bool)

    fragile.pause()
    began = time.monotonic()
    with pytest.raises(KafkaUnreachableError, match="asking the group coordinator failed"):
        await membership.still_mine(0)
    await membership.leave()

    assert time.monotonic() - began < 2 * 2 + SLACK_S
    assert owner.mine == frozenset()
    del membership
    await nothing_left(before)
