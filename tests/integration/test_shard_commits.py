"""What a shard is offered goes to the topics that it is for, all of it in one transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from streamer.errors import ShardLostError
from streamer.kafka.client import Connection, was_reported
from streamer.kafka.topics import ensure
from streamer.kafka.transaction import Outgoing
from streamer.offer import Offer, offer_of_inventory
from streamer.shard.caution import Caution
from streamer.shard.commits import GroupCommits
from streamer.shard.limits import Limits
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.kafka_parts import (
    before_commit,
    commit,
    connection_to,
    kafka_settings,
    outgoing,
    read_committed,
    started,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamer.broker.local import LocalBroker
    from streamer.kafka.topics import Topics
    from streamer.kafka.transaction import TransactionalProducer

SPACE = Outgoing(b"space/us_sp_one", b"{}")
GONE = Outgoing(b"space/us_sp_two", None)


class Stage:
    """The commits of shard 0, running, with the producer that they use."""

    def __init__(
        self, servers: str, topics: Topics, producer: TransactionalProducer, limits: Limits
    ) -> None:
        self.topics = topics
        self.producer = producer
        self.commits = GroupCommits(
            producer,
            topics,
            shard=0,
            end=0,
            first=[],
            limits=limits,
            caution=Caution(0),
            incidents=Incidents(Metrics(Board())),
        )
        self.running = asyncio.create_task(self.commits.run())
        self._servers = servers

    async def published(self) -> dict[str, list[tuple[bytes | None, bytes | None]]]:
        """Key and value of whatever a `read_committed` consumer sees, by kind of topic."""
        seen = {name: await read_committed(self._servers, name) for name in self.topics.names}
        return {
            name.rpartition(".")[2]: [(one.key, one.value) for one in records]
            for name, records in seen.items()
            if records
        }


def _as_the_daemon(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Keep quiet about futures that the client leaves behind of a producer that was fenced."""
    if not was_reported(context.get("exception")):
        loop.default_exception_handler(context)


@pytest.fixture
async def stage(broker: LocalBroker, prefix: str) -> AsyncIterator[Stage]:
    """Commits on topics of the test's own."""
    asyncio.get_running_loop().set_exception_handler(_as_the_daemon)
    settings = kafka_settings(broker.bootstrap_servers, prefix, partitions=1)
    connection = Connection(settings)
    topics = await ensure(connection, settings)
    async with started(connection, prefix) as producer:
        limits = Limits(connection, settings, topics)
        stage = Stage(broker.bootstrap_servers, topics, producer, limits)
        yield stage
        stage.commits.stop()
        await asyncio.wait({stage.running})


async def test_inventory_alone_is_committed_without_a_record_or_a_checkpoint(stage: Stage) -> None:
    """Objects and tombstones go to the inventory topic under their own keys, and nowhere else."""
    first = await stage.commits.offer(offer_of_inventory(b"us_env_one", [SPACE, GONE]))

    assert first is None
    assert await stage.published() == {
        "inventory": [(b"space/us_sp_one", b"{}"), (b"space/us_sp_two", None)]
    }


async def test_inventory_is_committed_with_the_records_that_were_offered_meanwhile(
    stage: Stage,
) -> None:
    """Nothing of several offers is visible before their one commit, and all of it afterwards."""
    before = []

    async def look() -> None:
        before.append(await stage.published())

    before_commit(stage.producer, look)
    record = Outgoing(b"us_env_one", b"a record")
    checkpoint = b"a checkpoint"
    offers = [
        stage.commits.offer(offer_of_inventory(b"us_env_one", [SPACE])),
        stage.commits.offer(
            Offer(b"us_env_one", records=[record], checkpoint=lambda _, end: checkpoint * end)
        ),
    ]

    assert await asyncio.gather(*offers) == [None, 0]

    assert before == [{}]
    assert await stage.published() == {
        "audit": [(b"us_env_one", b"a record")],
        "checkpoints": [(b"us_env_one", checkpoint)],
        "inventory": [(b"space/us_sp_one", b"{}")],
    }


async def test_what_is_offered_while_commits_are_held_is_committed_afterwards(
    stage: Stage,
) -> None:
    """A rebalance in which the shard comes back at once costs neither a record nor a restore."""
    await stage.commits.offer(offer_of_inventory(b"us_env_one", [SPACE]))
    await stage.commits.hold()
    waiting = stage.commits.offer(offer_of_inventory(b"us_env_one", [GONE]))
    await asyncio.wait({waiting}, timeout=0.5)
    assert await stage.published() == {"inventory": [(SPACE.key, SPACE.value)]}

    stage.commits.go_on()
    await waiting
    assert await stage.published() == {
        "inventory": [(SPACE.key, SPACE.value), (GONE.key, GONE.value)]
    }


async def test_held_commits_are_fenced_by_whoever_had_the_shard_meanwhile(
    broker: LocalBroker, prefix: str, stage: Stage
) -> None:
    """Going on without a restore cannot add to what another owner wrote: the next commit fails."""
    await stage.commits.offer(offer_of_inventory(b"us_env_one", [SPACE]))
    await stage.commits.hold()
    waiting = stage.commits.offer(offer_of_inventory(b"us_env_one", [GONE]))
    async with started(connection_to(broker.bootstrap_servers), prefix) as another:
        await commit(another, {stage.topics.audit.name: outgoing(b"theirs")})

    stage.commits.go_on()
    with pytest.raises(ShardLostError):
        await stage.running
    assert waiting.cancelled()
    assert await stage.published() == {
        "audit": [(b"key", b"theirs")],
        "inventory": [(SPACE.key, SPACE.value)],
    }
