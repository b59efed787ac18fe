"""What a user may do on the cluster, found out by doing it where that leaves no trace in a topic.

Not found out: whether records may be written, because that would take a record.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from aiokafka.errors import KafkaError

from streamer.errors import KafkaNotReadyError, KafkaUnreachableError
from streamer.kafka.reader import LogReader
from streamer.kafka.transaction import TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection

POLL_S: Final = 0.1
"""Between two looks at a group whose coordinator is not there yet."""

PROBE: Final = "check"
"""Ends the transactional id that is tried: that of no shard, so that nobody is fenced."""


async def refusals(connection: Connection, settings: KafkaSettings) -> list[KafkaNotReadyError]:
    """What the user may not do and needs to; empty if nothing was found.

    Raises:
        KafkaUnreachableError: No broker answered in time.
    """
    return [error async for error in _tried(connection, settings)]


async def _tried(
    connection: Connection, settings: KafkaSettings
) -> AsyncIterator[KafkaNotReadyError]:
    for attempt in (_read, _fence, _see_group):
        try:
            with connection.explained("looking at the permissions"):
                async with asyncio.timeout(connection.call_timeout_s):
                    await attempt(connection, settings)
        except KafkaUnreachableError:
            raise
        except KafkaNotReadyError as error:
            yield error


async def _read(connection: Connection, settings: KafkaSettings) -> None:
    async with LogReader(connection) as reader:
        for topic in (settings.audit_topic, settings.checkpoint_topic):
            with _named(f"topic {topic}", "read it"):
                first, end = await reader.bounds(topic, 0)
                async for _ in reader.read(topic, 0, max(first, end - 1), end):
                    pass


async def _fence(connection: Connection, settings: KafkaSettings) -> None:
    prefix = f"streamer.{settings.audit_topic}"
    producer = TransactionalProducer(
        connection,
        transactional_id=f"{prefix}.{PROBE}",
        partition=0,
        compression="none",
        transaction_timeout_s=settings.transaction_timeout,
    )
    try:
        with _named(f"transactional ids {prefix}.*", "start a transactional producer"):
            await producer.start()
    finally:
        await producer.discard()


async def _see_group(connection: Connection, settings: KafkaSettings) -> None:
    async with connection.admin() as admin:
        with _named(f"group {settings.group_id}", "look at it"):
            while True:
                try:
                    await admin.list_consumer_group_offsets(settings.group_id)
                    return
                except KafkaError as error:
                    if not error.retriable:
                        raise
                # The first one who asks for a group makes the broker create the topic behind it.
                await asyncio.sleep(POLL_S)


@contextlib.contextmanager
def _named(where: str, doing: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        refused = error
    except KafkaNotReadyError as error:
        if not isinstance(error.__cause__, KafkaError) or error.__cause__.retriable:
            raise
        refused = error.__cause__
    else:
        return
    raise KafkaNotReadyError(
        where=where,
        what=f"cannot {doing}: {refused}",
        next_step="Give the user of streamer the permissions that the README lists.",
    ) from refused
