"""Verifies the topics of a deployment, in as many processes as are worth it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from streamer.errors import TopicError
from streamer.kafka.reader import LogReader
from streamer.proof.outcome import Outcome
from streamer.proof.part import Part, spans_of
from streamer.proof.partitioning import partition_of
from streamer.proof.processes import verify_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection

WORTH_A_PROCESS: Final = 50_000
"""Records for which one more is started. To start it takes as long as to verify some 20,000."""


async def verified(
    connection: Connection,
    settings: KafkaSettings,
    *,
    environment: str | None = None,
    processes: int | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Outcome:
    """Hold everything that is committed against its promises; workers may go on writing.

    Args:
        connection: To the cluster.
        settings: Name the topics.
        environment: The id of one, to judge nothing else.
        processes: How many read beside each other, at most one a partition; 1: only this one. If
            not given, one a core, as far as there is enough to read.
        on_progress: Told how many offsets of the audit topic have been passed, and of how many.

    Raises:
        TopicError: A topic is missing, or has another partition count than the audit topic.
        KafkaUnreachableError: They cannot be read to their ends.
    """
    async with LogReader(connection) as reader:
        partitions = await _partitions(reader, settings)
        wanted: Sequence[int] = range(partitions)
        if environment is not None:
            wanted = [partition_of(environment.encode(), partitions)]
        records = await spans_of(reader, settings.audit_topic, wanted)
    whole = Part(settings, partitions, records, environment)
    total = whole.offsets
    if processes is None:
        processes = max(1, min(os.cpu_count() or 1, total // WORTH_A_PROCESS))

    def passed(done: int) -> None:
        on_progress(done, total)

    return Outcome.of_all(await verify_parts(connection, whole.split(processes), passed))


async def _partitions(reader: LogReader, settings: KafkaSettings) -> int:
    topics = (settings.audit_topic, settings.checkpoint_topic, settings.dead_letter_topic)
    counts = {topic: len(await reader.partitions_of(topic)) for topic in topics}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{topic} has {count}" for topic, count in counts.items())
        raise TopicError(
            where="topics",
            what=f"their partition counts differ: {listed}",
            next_step="Kafka cannot take partitions back: restore the topics from a copy.",
        )
    return counts[settings.audit_topic]
