"""The topics of a deployment, to which a test publishes as a worker would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.kafka.client import Connection
from streamer.kafka.transaction import Outgoing
from streamer.proof.reading import verified
from tests.support.kafka_parts import commit, kafka_settings, started
from tests.support.streamer_command import kafka_variables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.broker.local import LocalBroker
    from streamer.kafka.reader import Message
    from streamer.proof.findings import Kind
    from tests.support.published import Published


class Deployment:
    """Topics with as many partitions as it is told; they are there once somebody creates them."""

    def __init__(self, broker: LocalBroker, prefix: str, partitions: int) -> None:
        self.kafka = kafka_settings(broker.bootstrap_servers, prefix, partitions=partitions)
        self.connection = Connection(self.kafka)
        self.settings = kafka_variables(broker, prefix)

    async def publish(self, published: Published, partition: int = 0) -> None:
        """Commit everything in one transaction."""
        audit, letters = self.kafka.audit_topic, self.kafka.dead_letter_topic
        messages = {audit: _outgoing(published.records), letters: _outgoing(published.letters)}
        checkpoints = {self.kafka.checkpoint_topic: _outgoing(published.checkpoints)}
        async with started(self.connection, f"{audit}.{partition}", partition=partition) as writer:
            sent = {topic: each for topic, each in messages.items() if each}
            await commit(writer, sent, {topic: each for topic, each in checkpoints.items() if each})

    async def kinds(self, processes: int | None = None) -> list[Kind]:
        """What a verification finds."""
        outcome = await verified(self.connection, self.kafka, processes=processes)
        return [one.kind for one in outcome.findings.described]


def _outgoing(messages: Iterable[Message]) -> list[Outgoing]:
    return [Outgoing(one.key or b"", one.value, list(one.headers)) for one in messages]
