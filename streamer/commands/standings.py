"""Where each environment stands, as the checkpoint topic says: read to its end, newest of each key.

No worker is asked, so that it can be told while none lives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from streamer.audit.checkpoint import SHARD_KEY, Checkpoint, decode

if TYPE_CHECKING:
    from streamer.kafka.reader import LogReader, Message


@dataclass(frozen=True, slots=True)
class Standing:
    """An environment's newest checkpoint.

    Attributes:
        shard: Its partition.
        written: When it was appended to the topic, by the broker's clock.
    """

    checkpoint: Checkpoint
    shard: int
    written: datetime

    def polled_s(self, now: datetime) -> float | None:
        """Seconds since the last complete look, as far as the checkpoint knows; None: never."""
        return _since(self.checkpoint.polled, now)

    def watermark_s(self, now: datetime) -> float | None:
        """Seconds since the newest instant that is proved complete; None: there is none."""
        return _since(self.checkpoint.watermark, now)

    def lags(self, now: datetime, max_lag_s: float) -> bool:
        """Whether it is to be polled, and was not within so many seconds."""
        polled_s = self.polled_s(now)
        return self.checkpoint.state == "polled" and (polled_s is None or polled_s > max_lag_s)


async def standings(reader: LogReader, topic: str) -> list[Standing]:
    """Return all environments, by name.

    Raises:
        TopicError: The topic does not exist.
        ShardRefusedError: There is something in it that this version cannot read.
    """
    spans = {each: await reader.bounds(topic, each) for each in await reader.partitions_of(topic)}
    newest: dict[bytes, Message] = {}
    async for chunk in reader.read_all(topic, spans):
        for message in chunk:
            key = message.key or b""
            if message.value is None:
                newest.pop(key, None)
            elif key != SHARD_KEY:
                newest[key] = message
    return sorted((_standing(one) for one in newest.values()), key=_order)


def _standing(message: Message) -> Standing:
    where = f"{message.topic}, partition {message.partition}, offset {message.offset}"
    return Standing(
        decode(message.value or b"", where=where),
        message.partition,
        datetime.fromtimestamp(message.timestamp / 1000, UTC),
    )


def _order(standing: Standing) -> tuple[str, str]:
    environment = standing.checkpoint.environment
    return environment.name or environment.id, environment.id


def _since(at: datetime | None, now: datetime) -> float | None:
    # The server's clock may be ahead of ours.
    return None if at is None else max(0.0, (now - at).total_seconds())
