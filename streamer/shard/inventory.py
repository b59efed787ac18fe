"""The inventory of a shard: what is published of it is read back, and changes are committed.

Read once the producer has fenced whoever had the shard before, so that nothing can be added behind
what was read. No environment waits for it.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from streamer.errors import KafkaUnreachableError, ShardRefusedError
from streamer.kafka.reader import LogReader
from streamer.kafka.transaction import Outgoing
from streamer.offer import offer_of_inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streamer.inventory.keeper import Keeper
    from streamer.inventory.table import Change
    from streamer.kafka.client import Connection
    from streamer.offer import Committer

log = structlog.get_logger()

OFFER_BYTES: Final = 1024 * 1024
"""About as much is committed at a time."""

TAKEN_OVER_WAIT_S: Final = 3.0
"""Of a shard that is taken over the environments are polled first: the inventory of fifty is a
thousand requests, which would be most of what a takeover costs."""

RETRY_AFTER_S: Final = 10.0
"""Between two attempts to read what is published. What was read is read once more then, in the same
order, which ends where one reading would."""

ACCOUNT: Final = b"_account"
"""Stands for the environment of what belongs to none."""


async def keep(
    keeper: Keeper,
    connection: Connection,
    topic: str,
    shard: int,
    committer: Committer,
    *,
    is_new: bool,
) -> None:
    """Read back what is published of a shard's inventory, and keep it current for ever.

    Where somebody wrote what cannot be read, nothing is kept; where the topic does not answer, it
    is read again and again: no event waits for that.

    Args:
        keeper: Knows what there is.
        connection: Where it is read from.
        topic: Of the inventory.
        shard: Whose partition it is.
        committer: Commits what changed.
        is_new: Whether nobody had the shard before, so that nothing is published.
    """
    if not is_new:
        await asyncio.sleep(TAKEN_OVER_WAIT_S)
    try:
        while not await _is_restored(keeper, connection, topic, shard):  # noqa: ASYNC110 - a retry
            await asyncio.sleep(RETRY_AFTER_S)
    except ShardRefusedError as error:
        log.error("shard.inventory_refused", shard=shard, reason=str(error))  # noqa: TRY400
        return
    await keeper.run(partial(_publish, committer))


async def _is_restored(keeper: Keeper, connection: Connection, topic: str, shard: int) -> bool:
    try:
        async with LogReader(connection) as reader:
            start, end = await reader.bounds(topic, shard)
            async for chunk in reader.read(topic, shard, start, end):
                for message in chunk:
                    keeper.restore(message.key, message.value)
    except KafkaUnreachableError as error:
        log.warning("shard.inventory_not_read", shard=shard, reason=error.what)
        return False
    return True


async def _publish(committer: Committer, environment_id: str, changes: Sequence[Change]) -> None:
    key = environment_id.encode() or ACCOUNT
    for part in _parts(changes):
        await committer.offer(offer_of_inventory(key, part))


def _parts(changes: Sequence[Change]) -> Iterator[list[Outgoing]]:
    part: list[Outgoing] = []
    size_bytes = 0
    for change in changes:
        part.append(Outgoing(change.key, change.value))
        size_bytes += len(change.key) + len(change.value or b"")
        if size_bytes >= OFFER_BYTES:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part
