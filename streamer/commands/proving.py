"""Reads an audit topic back from its beginning and says in a line whether it keeps its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.commands.terminal import clipped, counted
from streamer.errors import CheckFailedError
from streamer.kafka.reader import LogReader
from streamer.proof.verify import Verifier

if TYPE_CHECKING:
    from streamer.kafka.client import Connection


async def read_back(connection: Connection, topic: str) -> Verifier:
    """Hold every committed record of a topic against its promises."""
    verifier = Verifier()
    async with LogReader(connection) as reader:
        partitions = await reader.partitions(topic)
        spans = {each: await reader.bounds(topic, each) for each in partitions}
        async for chunk in reader.read_all(topic, spans):
            for message in chunk:
                verifier.add(message.offset, message.key, message.value)
    return verifier


def verdict(verifier: Verifier, topic: str) -> str:
    """The line that says that everything holds.

    Raises:
        CheckFailedError: Something does not, or there is nothing.
    """
    if not verifier.records:
        raise CheckFailedError(
            where=f"topic {topic}",
            what="not proved: nothing was published",
            next_step="Let it run longer: --seconds.",
        )
    if verifier.failures:
        first = verifier.findings[0]
        raise CheckFailedError(
            where=f"topic {topic}",
            what=f"not proved: {verifier.failures:,} of {verifier.records:,} records are wrong; "
            f"the first, of environment {clipped(first.environment)} at offset {first.offset}: "
            f"{clipped(first.what)}",
            next_step="Please report this: it should not be possible.",
        )
    return (
        f"proved: {counted(verifier.records, 'record')} in "
        f"{counted(len(verifier.environments), 'environment')}, "
        "every sequence without a gap, every hash right, none there twice"
    )
