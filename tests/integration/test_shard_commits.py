"""What a shard is offered goes to the topics that it is for, all of it in one transaction."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from streamer.kafka.client import Connection
from streamer.kafka.topics import ensure
from streamer.kafka.transaction import Outgoing
from streamer.offer import Offer, offer_of_inventory
from streamer.shard.caution import Caution
from streamer.shard.commits import GroupCommits
from streamer.shard.limits import Limits
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.kafka_parts import before_commit, kafka_settings, read_committed, started

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
        self._servers = servers

    async def published(self) -> dict[str, list[tuple[bytes | None, bytes | None]]]:
        """Key and value of whatever a `read_committed` consumer sees, by kind of topic."""
        seen = {name: await read_committed(self._servers, name) for name in self.topics.names}
        return {
            name.rpartition(".")[2]: [(one.key, one.value) for one in records]
            for name, records in seen.items()
            if records
        }


@pytest.fixture
async def stage(broker: LocalBroker, prefix: str) -> AsyncIterator[Stage]:
    """Commits on topics of the test's own."""
    settings = kafka_settings(broker.bootstrap_servers, prefix, partitions=1)
    connection = Connection(settings)
    topics = await ensure(connection, settings)
    async with started(connection, prefix) as producer:
        limits = Limits(connection, settings, topics)
        stage = Stage(broker.bootstrap_servers, topics, producer, limits)
        running = asyncio.create_task(stage.commits.run())
        yield stage
        stage.commits.stop()
        await running


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
