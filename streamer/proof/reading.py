"""Reads the topics in the order in which a verification needs them, also while workers write.

Records up to the end as it is now, then the checkpoints, then the records that came meanwhile, then
the dead letters. Each end is the high watermark, and asked for after what came before was read: so
whatever has been committed together is read together, and a running worker is no finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from streamer.errors import TopicError
from streamer.kafka.reader import LogReader
from streamer.proof.partitioning import partition_of
from streamer.proof.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection
    from streamer.kafka.reader import Message

Spans: TypeAlias = "dict[int, tuple[int, int]]"
"""By partition: the first offset, and the one after the last."""


async def verified(
    connection: Connection,
    settings: KafkaSettings,
    *,
    environment: str | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Verifier:
    """Hold everything that is committed against its promises.

    Args:
        connection: To the cluster.
        settings: Name the topics.
        environment: The id of one, to judge nothing else.
        on_progress: Told how many offsets of the audit topic have been passed, and of how many.

    Raises:
        TopicError: A topic is missing, or has another partition count than the audit topic.
        KafkaUnreachableError: They cannot be read to their ends.
    """
    async with LogReader(connection) as reader:
        partitions = await _partitions(reader, settings)
        reading = _Reading(reader, partitions, environment, on_progress)
        return await reading.run(settings)


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


class _Reading:
    def __init__(
        self,
        reader: LogReader,
        partitions: int,
        environment: str | None,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._reader = reader
        self._partitions = partitions
        self._key = None if environment is None else environment.encode()
        self._on_progress = on_progress

    async def run(self, settings: KafkaSettings) -> Verifier:
        audit, letters = settings.audit_topic, settings.dead_letter_topic
        records = await self._spans(audit)
        whole, whole_letters = _whole(records), _whole(await self._spans(letters))
        verifier = Verifier(audit, self._partitions, whole=whole, whole_letters=whole_letters)
        await self._read(audit, records, verifier.take, self._on_progress)
        checkpoints = settings.checkpoint_topic
        await self._read(checkpoints, await self._spans(checkpoints), verifier.take_checkpoint)
        verifier.compare()
        now = await self._spans(audit)
        later = {each: (records[each][1], end) for each, (_, end) in now.items()}
        await self._read(audit, later, verifier.take)
        await self._read(letters, await self._spans(letters), verifier.take_dead_letter)
        verifier.finish()
        return verifier

    async def _spans(self, topic: str) -> Spans:
        wanted: Sequence[int] = range(self._partitions)
        if self._key is not None:
            wanted = [partition_of(self._key, self._partitions)]
        return {each: await self._reader.bounds(topic, each) for each in wanted}

    async def _read(
        self,
        topic: str,
        spans: Spans,
        take: Callable[[Message], None],
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        total = sum(end - start for start, end in spans.values())
        at = {partition: start for partition, (start, _) in spans.items()}
        done = 0
        async for chunk in self._reader.read_all(topic, spans):
            for message in chunk:
                if self._key is None or message.key == self._key:
                    take(message)
            last = chunk[-1]
            done += last.offset + 1 - at[last.partition]
            at[last.partition] = last.offset + 1
            on_progress(done, total)


def _whole(spans: Spans) -> frozenset[int]:
    """The partitions of which nothing was deleted."""
    return frozenset(partition for partition, (start, _) in spans.items() if start == 0)
