"""Finds records in a topic: the newest that match, or all that match, in the order of appending.

Neither ever holds more than it must: the newest are found by reading backwards, and a whole topic
is walked in windows of time, so that partitions are merged without keeping them in memory.

What was appended well before an instant did not happen after it, whatever date it bears: so with
`since` the topic is read from there on only. An event dated 2099 is found in the year in which it
was published.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamer.audit.sentence import UnreadableRecordError, parse
from streamer.kafka.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from streamer.commands.tail_filter import Filter, Record
    from streamer.kafka.reader import LogReader, Message

WINDOW_MESSAGES: Final = 20_000
"""Read and ordered at a time, unless they were appended within one second."""

SHORTEST_WINDOW_MS: Final = 1000

FIRST_STEP: Final = 64
"""Offsets that are looked back first in each partition."""

STEP_GROWTH: Final = 4
"""How many times as far each further look goes."""

CLOCKS_APART_MS: Final = 300_000
"""How far the broker's clock, which dates the appending, may be from that of the event."""

Spans = dict[int, tuple[int, int]]
"""By partition: the first offset, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record that was asked for.

    Attributes:
        value: Its bytes, as they lie in the topic.
        record: Its members; None if it cannot be read.
    """

    appended_ms: int
    partition: int
    offset: int
    value: bytes
    record: Record | None

    @property
    def order(self) -> tuple[int, int, int]:
        """Where it comes among others: by the time it was appended."""
        return self.appended_ms, self.partition, self.offset

    @property
    def place(self) -> str:
        """Where it lies in the topic."""
        return f"partition {self.partition}, offset {self.offset}"


class Selection:
    """The records of a topic that a filter lets through.

    Attributes:
        unreadable: How many could not be held against the filter.
    """

    def __init__(
        self,
        reader: LogReader,
        topic: str,
        wanted: Filter,
        *,
        window_messages: int = WINDOW_MESSAGES,
    ) -> None:
        self.unreadable = 0
        self._window_messages = window_messages
        self._reader = reader
        self._topic = topic
        self._wanted = wanted

    async def spans(self, partitions: Sequence[int]) -> Spans:
        """Where to look: up to the end as it is now, and no further back than there is a need."""
        wanted = self._wanted
        if wanted.environment_id is not None:
            partitions = [partition_of(wanted.environment_id, len(partitions))]
        spans = {each: await self._reader.bounds(self._topic, each) for each in partitions}
        if wanted.since is not None:
            earliest_ms = _ms(wanted.since) - CLOCKS_APART_MS
            starts = await self._reader.at_time(self._topic, spans, earliest_ms)
            spans = {p: (max(first, starts[p]), end) for p, (first, end) in spans.items()}
        return spans

    async def newest(self, spans: Spans, count: int) -> list[Found]:
        """The last `count`, in the order of appending."""
        found: list[Found] = []
        step = FIRST_STEP
        left = spans if count else {}
        while left:
            looked = {p: (max(first, end - step), end) for p, (first, end) in left.items()}
            oldest: dict[int, int] = {}
            async for chunk in self._reader.read_all(self._topic, looked):
                oldest.setdefault(chunk[0].partition, chunk[0].timestamp)
                found += self.of(chunk)
            found.sort(key=lambda each: each.order)
            del found[:-count]
            enough = found[0].appended_ms if len(found) == count else -1
            left = {
                p: (left[p][0], start)
                for p, (start, _) in looked.items()
                if start > left[p][0] and oldest.get(p, enough) >= enough
            }
            step *= STEP_GROWTH
        return found

    async def all(self, spans: Spans) -> AsyncIterator[list[Found]]:
        """All, in batches, in the order of appending."""
        since = self._wanted.since
        begin_ms = 0 if since is None else _ms(since) - CLOCKS_APART_MS
        # Somewhat later than now, for a broker whose clock is ahead.
        end_ms = round(time.time() * 1000) + CLOCKS_APART_MS
        async for window in self._windows(spans, begin_ms, end_ms):
            found: list[Found] = []
            async for chunk in self._reader.read_all(self._topic, window):
                found += self.of(chunk)
            yield sorted(found, key=lambda each: each.order)

    async def follow(self, starts: Mapping[int, int]) -> AsyncIterator[list[Found]]:
        """What is appended from now on, as it comes."""
        async for chunk in self._reader.follow(self._topic, starts):
            yield self.of(chunk)

    def of(self, chunk: Sequence[Message]) -> list[Found]:
        """Those of these messages that are asked for."""
        found = []
        for message in chunk:
            value = message.value or b""
            try:
                record = parse(value)
            except UnreadableRecordError:
                record = None
                self.unreadable += 1
            if self._wanted.passes(record) if record is not None else self._wanted.asks_nothing:
                found.append(
                    Found(message.timestamp, message.partition, message.offset, value, record)
                )
        return found

    async def _windows(self, spans: Spans, begin_ms: int, end_ms: int) -> AsyncIterator[Spans]:
        messages = sum(end - first for first, end in spans.values())
        if messages <= self._window_messages or end_ms - begin_ms <= SHORTEST_WINDOW_MS:
            yield spans
            return
        middle_ms = (begin_ms + end_ms) // 2
        cuts = await self._reader.at_time(self._topic, spans, middle_ms)
        earlier, later = {}, {}
        for partition, (first, end) in spans.items():
            cut = min(max(cuts[partition], first), end)
            earlier[partition], later[partition] = (first, cut), (cut, end)
        async for window in self._windows(earlier, begin_ms, middle_ms):
            yield window
        async for window in self._windows(later, middle_ms, end_ms):
            yield window


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
