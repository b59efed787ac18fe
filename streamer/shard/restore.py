"""What a shard knows, read back from the log: its checkpoints, and the audit records they lead to.

The audit partition is the truth, the checkpoint says where to begin. Where they disagree, a commit
was torn: sequence, head and what has been seen come from the records, and the watermark steps back
to what the records bear out; events read again are dropped, because they have been seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from streamer.archiver import Resumed
from streamer.audit.chain import Link, genesis
from streamer.audit.checkpoint import (
    SHARD_KEY,
    Checkpoint,
    ShardRecord,
    decode,
    decode_shard,
    encode_shard,
)
from streamer.audit.record import NoRecordError, Restored
from streamer.audit.record import restore as read_record
from streamer.capture.cursor import Cursor
from streamer.capture.position import Position, latest
from streamer.capture.seen import Remembered, Seen
from streamer.errors import ShardRefusedError
from streamer.flatfile.models import Environment
from streamer.kafka.reader import LogReader
from streamer.kafka.transaction import Outgoing
from streamer.shard.shard_record import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.kafka.reader import Message
    from streamer.shard.surroundings import Surroundings

FIRST_OF_ALL: Final = 0
"""The partition whose shard record speaks for those that have none: they must agree on `START`."""


@dataclass(slots=True)
class _Standing:
    """One environment, as far as it has been read back.

    Attributes:
        link: What the checkpoint says of the last record, then what holds.
        last: The last record that was found, and its offset.
    """

    cursor: Cursor
    checkpoint: Checkpoint | None
    link: Link | None = None
    last: Link | None = None
    last_at: int | None = None
    newest: datetime | None = None


class Restore:
    """A shard as the log has it.

    Attributes:
        begin: Where reading the audit partition began.
        end: The end of the audit partition.
        records: How many were read back.
        left_open: Whether a transaction of an earlier owner holds the shard; nothing was read then.
        shard_record: What the first transaction has to write beside everything else.
    """

    def __init__(self, number: int, around: Surroundings) -> None:
        self.begin = 0
        self.end = 0
        self.records = 0
        self.left_open = False
        self.shard_record: list[Outgoing] = []
        self._number = number
        self._start = 0
        self._around = around
        self._where = f"shard {number} of {around.topics.audit.name}"
        self._floor: datetime | None = None
        self._standings: dict[str, _Standing] = {}

    @property
    def environments(self) -> list[Environment]:
        """Those to be read that have a checkpoint, named as they were then."""
        return [
            Environment(id=key, name=standing.checkpoint.environment.name or "")
            for key, standing in self._standings.items()
            if standing.checkpoint is not None and self._around.environments.includes(key)
        ]

    def resume(self, environment: Environment) -> Resumed:
        """Where an environment goes on; at its beginning if the log does not know it."""
        standing = self._standings.get(environment.id)
        link = genesis(environment.id)
        if standing is None:
            return Resumed(self._cursor(Position()), link, known=False, state="polled")
        link = standing.link or link
        if standing.checkpoint is None:
            return Resumed(standing.cursor, link, known=False, state="polled")
        checkpoint = standing.checkpoint
        is_read_back = checkpoint.tail >= self.begin or self.begin == self._start
        if not is_read_back:
            standing.cursor.keep_tail(checkpoint.tail)
        return Resumed(
            standing.cursor,
            link,
            known=True,
            state=checkpoint.state,
            last=checkpoint.last if standing.last_at is None else standing.last_at,
            deep_swept=checkpoint.deep_swept,
            is_read_back=is_read_back,
        )

    async def read(self, *, wait: bool, everything: bool = False) -> None:
        """Read checkpoints, then records.

        Args:
            everything: Also the records of environments that did not answer when their checkpoint
                was written: those of all this time, since they hold their tail back.
            wait: Wait for a transaction that is open, instead of saying so and reading nothing.

        Raises:
            ShardRefusedError: The log is another account's, or contradicts itself beyond repair.
            KafkaUnreachableError: It cannot be read.
        """
        topics = self._around.topics
        async with LogReader(self._around.connection) as reader:
            if not wait and await reader.left_open(topics.names, self._number):
                self.left_open = True
                return
            entries = await self._entries(reader, self._number)
            start, self.end = await reader.bounds(topics.audit.name, self._number)
            self._start = start
            await self._check(reader, entries.pop(SHARD_KEY, None), start)
            for value in entries.values():
                self._take_checkpoint(decode(value, where=f"checkpoints of {self._where}"))
            self.begin = max(start, min(self._tails(everything=everything), default=self.end))
            if self.begin > self.end:
                problem = self._refused(
                    f"a checkpoint points to offset {self.begin}, behind the end at {self.end}",
                    "The audit topic was cut or made anew: use another prefix, "
                    "or restore the topic.",
                )
                raise problem
            async for chunk in reader.read(topics.audit.name, self._number, self.begin, self.end):
                self._take_records(chunk)
            await self._look_for_vanished(reader)
        self._compare(start)

    async def _look_for_vanished(self, reader: LogReader) -> None:
        """Find the last record of those whose records behind the tail are all gone."""
        vanished = {key.encode(): key for key, one in self._standings.items() if self._is_gone(one)}
        if not vanished:
            return
        audit = self._around.topics.audit.name
        async for chunk in reader.read(audit, self._number, self._start, self.begin):
            self._take_records([one for one in chunk if one.key in vanished])
        for key in vanished.values():
            if self._standings[key].last is None and self._start > 0:
                problem = self._refused(
                    f"the last records of {key} are gone, and retention deleted those before",
                    "Restore the audit topic, or use another STREAMER_KAFKA__TOPIC_PREFIX.",
                )
                raise problem

    def _is_gone(self, standing: _Standing) -> bool:
        """Whether a checkpoint counts a record that would have been read, and there is none."""
        at = None if standing.checkpoint is None else standing.checkpoint.last
        return standing.last is None and at is not None and at >= self.begin

    def _tails(self, *, everything: bool) -> list[int]:
        checkpoints = [one.checkpoint for one in self._standings.values() if one.checkpoint]
        return [
            checkpoint.tail
            for checkpoint in checkpoints
            if self._around.environments.includes(checkpoint.environment.id)
            and (everything or checkpoint.state == "polled")
        ]

    async def _entries(self, reader: LogReader, number: int) -> dict[bytes, bytes]:
        topic = self._around.topics.checkpoints.name
        start, end = await reader.bounds(topic, number)
        entries: dict[bytes, bytes] = {}
        async for chunk in reader.read(topic, number, start, end):
            for message in chunk:
                if message.key is not None and message.value is not None:
                    entries[message.key] = message.value
        return entries

    async def _check(self, reader: LogReader, value: bytes | None, start: int) -> None:
        """Hold the shard's record against what we were told; make one if there is none."""
        around = self._around
        expected = ShardRecord(
            account=around.account_id,
            partitions=around.topics.partitions,
            audit_topic_id=around.topics.audit.id,
            start=around.start,
        )
        if value is not None:
            own = decode_shard(value, where=f"record of {self._where}")
            compare(own, expected, where=self._where)
            self._floor = own.start
            return
        if await self._has_records(reader, start):
            problem = self._refused(
                "there are audit records, but no checkpoint that belongs to them",
                "The checkpoint topic was deleted or made anew: restore it, "
                "or start with another STREAMER_KAFKA__TOPIC_PREFIX.",
            )
            raise problem
        if self._number != FIRST_OF_ALL:
            others = await self._entries(reader, FIRST_OF_ALL)
            if (value := others.get(SHARD_KEY)) is not None:
                first = decode_shard(value, where=f"record of shard {FIRST_OF_ALL}")
                compare(first, expected, where=self._where)
                expected = msgspec.structs.replace(expected, start=first.start)
        self._floor = expected.start
        self.shard_record = [Outgoing(SHARD_KEY, encode_shard(expected))]

    async def _has_records(self, reader: LogReader, start: int) -> bool:
        if start > 0:
            return True
        audit = self._around.topics.audit.name
        async for _ in reader.read(audit, self._number, start, self.end):
            return True
        return False

    def _take_checkpoint(self, checkpoint: Checkpoint) -> None:
        position = Position(
            watermark=checkpoint.watermark,
            polled=checkpoint.polled,
            swept=checkpoint.swept,
            seen_from=checkpoint.seen_from,
        )
        self._standings[checkpoint.environment.id] = _Standing(
            self._cursor(position),
            checkpoint,
            link=Link(checkpoint.sequence, bytes.fromhex(checkpoint.head)),
        )

    def _take_records(self, chunk: Sequence[Message]) -> None:
        for message in chunk:
            if message.value is None:
                continue
            try:
                record = read_record(message.value)
            except NoRecordError:
                problem = self._refused(
                    f"what lies at offset {message.offset} is no audit record that this version "
                    "can read",
                    "Find out who else writes to this topic, or run a newer version.",
                )
                raise problem from None
            standing = self._standings.get(record.environment.id)
            if standing is None:
                standing = _Standing(self._cursor(Position()), None)
                self._standings[record.environment.id] = standing
            memory = remembered(record)
            created_at = memory.created_at
            standing.cursor.restore(memory, message.offset)
            standing.last, standing.last_at = Link(record.sequence, record.digest), message.offset
            if created_at is not None:
                standing.newest = latest(standing.newest, created_at)
        self.records += len(chunk)

    def _compare(self, start: int) -> None:
        """Where a checkpoint and the records disagree, the records win."""
        for key, standing in self._standings.items():
            said, found = standing.link, standing.last
            if found is None and self._is_gone(standing):
                found = genesis(key)
            if found is None or said == found:
                continue
            checkpoint = standing.checkpoint
            if checkpoint is not None and checkpoint.tail < start and found < (said or found):
                continue  # Retention took the records; the checkpoint remembers.
            self._around.incidents.torn(
                shard=self._number,
                environment=key,
                checkpoint=0 if said is None else said.sequence,
                records=found.sequence,
            )
            if said is not None and said.sequence > found.sequence:
                standing.cursor.step_back(standing.newest)
            standing.link = found

    def _cursor(self, position: Position) -> Cursor:
        settings = self._around.settings.capture
        seen = Seen(
            acknowledged=settings.revisions == "acknowledged",
            stub_id=self._around.privacy.stub_id,
        )
        return Cursor(
            settings, self._around.profile, position=position, seen=seen, floor=self._floor
        )

    def _refused(self, what: str, next_step: str) -> ShardRefusedError:
        return ShardRefusedError(where=self._where, what=what, next_step=next_step)


def remembered(record: Restored) -> Remembered:
    """Return what is to be known of a record, so that its event is not published again."""
    return Remembered(
        record.id,
        _time(record.time),
        record.revision,
        record.lifecycle.deleted_at,
        record.lifecycle.acknowledged_at,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
