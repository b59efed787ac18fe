"""Some of the partitions, read in the order in which a verification needs them.

Records up to the end as it was, then the checkpoints, then the records that came meanwhile, then
the dead letters. Each end is the high watermark, and asked for after what came before was read: so
whatever has been committed together is read together, and a running worker is no finding.

A key belongs to one partition, which has the same number in every topic: so whatever is compared
with each other lies in partitions of one number, and these may be verified apart from all others.
"""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from streamer.kafka.reader import LogReader
from streamer.proof.verify import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection
    from streamer.kafka.reader import Message
    from streamer.proof.outcome import Outcome

Spans: TypeAlias = "dict[int, tuple[int, int]]"
"""By partition: the first offset, and the one after the last."""

COLLECT_EVERY: Final = 50_000
"""Objects after which Python looks for cycles. What is read forms none, and to look after every 700
objects, as is the default, takes an eighth of the time."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one process verifies.

    Attributes:
        settings: Name the topics and the brokers.
        partitions: How many the topics have.
        records: The partitions that are read, with what the audit topic holds of each.
        environment: The id of one, to judge nothing else.
    """

    settings: KafkaSettings
    partitions: int
    records: Spans
    environment: str | None = None

    @property
    def offsets(self) -> int:
        """How many offsets of the audit topic are to be passed."""
        return sum(map(_length, self.records.values()))

    def split(self, count: int) -> list[Part]:
        """Return at most so many parts of about the same size, each of some partitions."""
        shares: list[Spans] = [{} for _ in range(count)]
        offsets = [0] * count
        # The longest first, each to whoever has least.
        for number in sorted(
            self.records, key=lambda one: _length(self.records[one]), reverse=True
        ):
            least = offsets.index(min(offsets))
            shares[least][number] = self.records[number]
            offsets[least] += _length(self.records[number])
        return [replace(self, records=share) for share in shares if share]


async def verify_part(
    connection: Connection, part: Part, on_progress: Callable[[int], None]
) -> Outcome:
    """Hold everything that is committed in some partitions against its promises.

    Args:
        connection: To the cluster.
        part: What is read.
        on_progress: Told how many offsets of the audit topic have been passed.

    Raises:
        KafkaUnreachableError: They cannot be read to their ends.
    """
    async with LogReader(connection) as reader:
        with _rare_collections():
            return await _Reading(reader, part, on_progress).run()


class _Reading:
    def __init__(self, reader: LogReader, part: Part, on_progress: Callable[[int], None]) -> None:
        self._reader = reader
        self._part = part
        self._key = None if part.environment is None else part.environment.encode()
        self._on_progress = on_progress

    async def run(self) -> Outcome:
        settings, records = self._part.settings, self._part.records
        audit, letters = settings.audit_topic, settings.dead_letter_topic
        verifier = Verifier(
            audit,
            self._part.partitions,
            whole=_whole(records),
            whole_letters=_whole(await self._spans(letters)),
        )
        await self._read(audit, records, verifier.take, self._on_progress)
        checkpoints = settings.checkpoint_topic
        await self._read(checkpoints, await self._spans(checkpoints), verifier.take_checkpoint)
        verifier.compare()
        now = await self._spans(audit)
        later = {each: (records[each][1], end) for each, (_, end) in now.items()}
        await self._read(audit, later, verifier.take)
        await self._read(letters, await self._spans(letters), verifier.take_dead_letter)
        return verifier.finish()

    async def _spans(self, topic: str) -> Spans:
        return await spans_of(self._reader, topic, list(self._part.records))

    async def _read(
        self,
        topic: str,
        spans: Spans,
        take: Callable[[Message], None],
        on_progress: Callable[[int], None] = lambda _done: None,
    ) -> None:
        at = {partition: start for partition, (start, _) in spans.items()}
        done = 0
        async for chunk in self._reader.read_all(topic, spans):
            for message in chunk:
                if self._key is None or message.key == self._key:
                    take(message)
            last = chunk[-1]
            done += last.offset + 1 - at[last.partition]
            at[last.partition] = last.offset + 1
            on_progress(done)


async def spans_of(reader: LogReader, topic: str, partitions: Sequence[int]) -> Spans:
    """Return what a topic holds of each partition now."""
    return {each: await reader.bounds(topic, each) for each in partitions}


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


def _whole(spans: Spans) -> frozenset[int]:
    """The partitions of which nothing was deleted."""
    return frozenset(partition for partition, (start, _) in spans.items() if start == 0)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.set_threshold(COLLECT_EVERY, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
