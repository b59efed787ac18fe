"""What the demo shows of the records: read back from Kafka, not asked of the daemon."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit.sentence import UnreadableRecordError, parse, sentence
from streamer.commands.tail_filter import part
from streamer.commands.terminal import clipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.commands.tail_filter import Record
    from streamer.kafka.reader import LogReader, Message

KEPT_LINES: Final = 60
"""Sentences that are kept, more than a screen has lines."""

RATE_OVER_S: Final = 5.0
"""The rate is that of the last so many seconds."""


@dataclass(slots=True)
class EnvironmentFeed:
    """What was read of one environment.

    Attributes:
        sequence: Of the last record that was read.
    """

    name: str
    records: int = 0
    sequence: int = 0
    _arrivals: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, count: int, at_s: float) -> None:
        """So many records were read."""
        self.records += count
        self._arrivals.append((at_s, count))

    def rate(self, at_s: float) -> float:
        """Records a second, lately."""
        while self._arrivals and self._arrivals[0][0] < at_s - RATE_OVER_S:
            self._arrivals.popleft()
        return sum(count for _, count in self._arrivals) / RATE_OVER_S


class Line(NamedTuple):
    """A record in a line.

    Attributes:
        at: When it was read.
        said: The sentence, harmless for a terminal.
    """

    at: datetime
    said: str


class Feed:
    """Follows the audit topic, seeing committed records only.

    Attributes:
        environments: By id.
        lines: The latest records.
        records: How many were read.
        first_at_s: When the first one was read, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.environments: dict[str, EnvironmentFeed] = {}
        self.lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self.records = 0
        self.first_at_s: float | None = None

    async def follow(self, reader: LogReader, topic: str, starts: Mapping[int, int]) -> None:
        """Read on and on."""
        async for chunk in reader.follow(topic, starts):
            self.add(chunk)

    def add(self, chunk: Sequence[Message]) -> None:
        """Take in messages of one partition."""
        now_s = time.monotonic()
        if self.first_at_s is None:
            self.first_at_s = now_s
        self.records += len(chunk)
        counts: dict[str, int] = {}
        newest: dict[str, Message] = {}
        for message in chunk:
            environment = (message.key or b"").decode("utf-8", "backslashreplace")
            counts[environment] = counts.get(environment, 0) + 1
            newest[environment] = message
        for environment, message in newest.items():
            self._note(environment, _members(message), counts[environment], now_s)
        # Only as many are parsed as can be seen, however many there are.
        for message in chunk[-KEPT_LINES:]:
            said = sentence(record) if (record := _members(message)) else "A record of another form"
            self.lines.append(Line(datetime.now(UTC), clipped(said)))

    def _note(self, environment: str, record: Record, count: int, now_s: float) -> None:
        name = str(part(record, "environment").get("name") or environment)
        feed = self.environments.setdefault(environment, EnvironmentFeed(name))
        feed.name = name
        feed.add(count, now_s)
        sequence = record.get("sequence")
        feed.sequence = sequence if isinstance(sequence, int) else feed.sequence


def _members(message: Message) -> Record:
    try:
        return parse(message.value or b"")
    except UnreadableRecordError:
        return {}
