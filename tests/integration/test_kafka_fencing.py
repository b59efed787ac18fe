"""Whoever starts last with a transactional id is the only one who can commit with it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from streamer.errors import CommitUnknownError, ShardLostError
from tests.support.kafka_parts import (
    before_commit,
    commit,
    connection_to,
    end_reaches,
    make_topic,
    outgoing,
    started,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from streamer.broker.local import LocalBroker


async def test_idle_zombie_can_not_commit(broker: LocalBroker, prefix: str) -> None:
    """A producer that was replaced between two transactions is told that it lost its shard."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    async with (
        started(connection_to(servers), prefix) as zombie,
        started(connection_to(servers), prefix) as owner,
    ):
        with pytest.raises(ShardLostError):
            await commit(zombie, {topic: outgoing(b"zombie")})
        await commit(owner, {topic: outgoing(b"owner")})

    assert await values(servers, topic) == [b"owner"]


async def test_zombie_in_a_transaction_never_gets_it_seen(broker: LocalBroker, prefix: str) -> None:
    """What a zombie had sent when it was replaced is aborted, and its commit fails."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    connection = connection_to(servers)
    async with started(connection, prefix) as zombie, asyncio.TaskGroup() as group:
        acknowledged, replaced = asyncio.Event(), asyncio.Event()

        async def frozen() -> None:
            acknowledged.set()
            await replaced.wait()

        before_commit(zombie, frozen)
        lost = group.create_task(raises_shard_lost(commit(zombie, {topic: outgoing(b"zombie")})))
        await acknowledged.wait()
        async with started(connection, prefix) as owner:
            replaced.set()
            await lost
            await commit(owner, {topic: outgoing(b"owner")})

    assert await values(servers, topic) == [b"owner"]


async def raises_shard_lost(call: Awaitable[object]) -> None:
    """Expect the error that tells a zombie what it is."""
    with pytest.raises(ShardLostError):
        await call


async def test_transaction_that_outlives_its_time_out_is_never_seen(
    broker: LocalBroker, prefix: str
) -> None:
    """A producer whose transaction the broker ended by itself hears so, and nothing is visible."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    async with started(connection_to(servers), prefix, transaction_timeout_s=1) as slow:
        # Our own bounds would come first, and the outcome would be unknown.
        slow._transaction_timeout_s = slow._request_timeout_s = 30
        # The end: the record, and the marker of its abort.
        before_commit(slow, lambda: end_reaches(servers, topic, 2))
        with pytest.raises((ShardLostError, CommitUnknownError)):
            await commit(slow, {topic: outgoing(b"slow")})

    assert await values(servers, topic) == []
