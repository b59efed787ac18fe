"""A batch that the broker refuses takes its whole transaction with it.

aiokafka's own commit does not: the controls show what would happen to a client that trusts it.
"""

from __future__ import annotations

import asyncio
import gc
import os
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

from streamer.errors import CommitRefusedError
from tests.support.kafka_parts import (
    commit,
    connection_to,
    make_topic,
    outgoing,
    started,
    values,
)

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

TOO_LARGE = 3 * 1024 * 1024
"""A topic takes 1 MB by default, and random bytes do not compress."""


async def test_refused_batch_makes_nothing_of_its_transaction_visible(
    broker: LocalBroker, prefix: str
) -> None:
    """What was sent before, beside and after a refused record is never seen."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "dead-letters")]
    async with started(connection_to(servers), prefix) as producer:
        with pytest.raises(CommitRefusedError, match="MessageSizeTooLarge"):
            await commit(
                producer,
                {
                    topics[0]: outgoing(b"before", os.urandom(TOO_LARGE), b"after"),
                    topics[1]: outgoing(b"beside"),
                },
                {topics[1]: outgoing(b"checkpoint")},
            )

    async with started(connection_to(servers), prefix) as producer:
        await commit(producer, {topic: outgoing(b"next") for topic in topics})
    assert [await values(servers, topic) for topic in topics] == [[b"next"], [b"next"]]


async def test_refused_last_message_makes_nothing_visible_either(
    broker: LocalBroker, prefix: str
) -> None:
    """A checkpoint that is refused takes back the records that were acknowledged before it."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "checkpoints")]
    async with started(connection_to(servers), prefix) as producer:
        with pytest.raises(CommitRefusedError):
            await commit(
                producer,
                {topics[0]: outgoing(b"record")},
                {topics[1]: outgoing(os.urandom(TOO_LARGE))},
            )

    async with started(connection_to(servers), prefix):
        assert [await values(servers, topic) for topic in topics] == [[], []]


async def test_refused_transaction_is_told_once(broker: LocalBroker, prefix: str) -> None:
    """Of several batches that are refused together one is raised, and none complains later."""
    servers = broker.bootstrap_servers
    topics = [await make_topic(servers, f"{prefix}.{name}") for name in ("audit", "dead-letters")]
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, complaint: complaints.append(complaint)
    )
    async with started(connection_to(servers), prefix) as producer:
        with pytest.raises(CommitRefusedError):
            await commit(
                producer, {topic: outgoing(*[os.urandom(TOO_LARGE)] * 2) for topic in topics}
            )

    gc.collect()  # A future whose exception nobody looked at complains when it is collected.
    assert complaints == []


async def test_control_plain_commit_succeeds_without_the_refused_record(
    broker: LocalBroker, prefix: str
) -> None:
    """Control: aiokafka commits what is left of a transaction, and says nothing."""
    servers = broker.bootstrap_servers
    topic = await make_topic(servers, prefix)
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, transactional_id=prefix, max_request_size=2 * TOO_LARGE
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"before")
        dropped = await producer.send(topic, os.urandom(TOO_LARGE))
        await producer.commit_transaction()

        assert isinstance(dropped.exception(), MessageSizeTooLargeError)
        assert await values(servers, topic) == [b"before"]

        # And from now on it loses whatever goes to that partition, and its commits go well.
        await producer.begin_transaction()
        poisoned = await producer.send(topic, b"after")
        await producer.commit_transaction()
        assert isinstance(poisoned.exception(), OutOfOrderSequenceNumber)
        assert await values(servers, topic) == [b"before"]
    finally:
        await producer.stop()
