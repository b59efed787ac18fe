"""Read partitions to their end, or follow them, seeing committed records only."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import ConsumerRecord

from streamer.errors import KafkaUnreachableError, ShardRefusedError, TopicError
from streamer.kafka.stopping import END_WITHIN_S, is_ended, stop_consumer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from streamer.kafka.client import Connection

Message = ConsumerRecord[bytes, bytes]
"""A committed record: `offset`, `key`, `value`, `headers`, `timestamp` (milliseconds)."""

FETCH_WAIT_MS: Final = 200
"""How long one fetch waits for records."""

LOOKED_EVERY_MS: Final = 20
"""How often is looked whether the end is reached. It nearly always lies behind the marker of a
transaction, which is no record, so that nobody is woken up by it."""

CHUNK: Final = 2000
"""Records handed out at a time, which bounds what a reader keeps in memory."""

STUCK_AFTER_S: Final = 30.0
"""Seconds without progress below the end of a partition after which reading gives up. More than the
10 s after which the broker aborts a transaction of ours, and its 10 s of looking for those."""


SETTLED_WITHIN_S: Final = 5.0
"""How long the end of what is committed may lie behind the end, once the only writer was fenced:
its last transaction is ended by then, but the answer may come from a replica that lags."""

POLL_S: Final = 0.1
"""Between two looks at those ends."""


class LogReader:
    """Reads partitions by number, without a group.

    Use it as an asynchronous context manager.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._request_ms = round(connection.call_timeout_s * 1000)
        self._committed = AIOKafkaConsumer(
            **connection.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=self._request_ms,
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )
        self._ends: Any = None

    async def __aenter__(self) -> Self:
        client: Any = self._committed._client  # noqa: SLF001 - for a second fetcher beside its own
        try:
            with self._connection.explained("starting a reader"):
                async with asyncio.timeout(self._connection.call_timeout_s):
                    await self._committed.start()
        except BaseException:
            await self._close()
            raise
        # Under read_committed the "end" that a consumer is told is the last stable offset: with
        # anyone's transaction open, committed records behind it would be missed in silence. So
        # ends are asked for by one that reads uncommitted, on the same connection.
        self._ends = Fetcher(client, SubscriptionState(), isolation_level="read_uncommitted")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        try:
            if self._ends is not None:
                await is_ended(self._ends.close(), within_s=END_WITHIN_S)
        finally:
            await stop_consumer(self._committed, within_s=END_WITHIN_S)

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Where the partition begins, and its high watermark."""
        tp = TopicPartition(topic, partition)
        with self._connection.explained(f"asking for the bounds of {topic}-{partition}"):
            async with asyncio.timeout(self._connection.call_timeout_s):
                await self._know([topic])
                first = (await self._ends.beginning_offsets([tp], self._request_ms))[tp]
                end = (await self._ends.end_offsets([tp], self._request_ms))[tp]
        return first, end

    async def left_open(self, topics: Iterable[str], partition: int) -> bool:
        """Whether a transaction stays open there, although its writer was fenced."""
        tps = [TopicPartition(topic, partition) for topic in topics]
        deadline = time.monotonic() + SETTLED_WITHIN_S
        with self._connection.explained(f"looking for open transactions in partition {partition}"):
            while True:
                async with asyncio.timeout(self._connection.call_timeout_s):
                    await self._know({tp.topic for tp in tps})
                    ends = await self._ends.end_offsets(tps, self._request_ms)
                    committed = await self._committed.end_offsets(tps)
                if all(committed[tp] >= ends[tp] for tp in tps):
                    return False
                if time.monotonic() > deadline:
                    return True
                await asyncio.sleep(POLL_S)

    async def at_time(self, topic: str, partitions: Iterable[int], time_ms: int) -> dict[int, int]:
        """Where to begin so as to miss nothing appended at or after a time; never too late."""
        tps = {TopicPartition(topic, partition): time_ms for partition in partitions}
        with self._connection.explained(f"looking for a time in {topic}"):
            async with asyncio.timeout(self._connection.call_timeout_s):
                await self._know([topic])
                # The ends first: asked for afterwards, they would lie behind a record that was
                # appended between the two answers.
                ends = await self._ends.end_offsets(list(tps), self._request_ms)
                found = await self._ends.get_offsets_by_times(tps, self._request_ms)
        return {tp.partition: ends[tp] if found.get(tp) is None else found[tp].offset for tp in tps}

    async def partitions(self, topic: str) -> Sequence[int]:
        """The partition numbers of a topic; none if it does not exist."""
        with self._connection.explained(f"looking at topic {topic}"):
            async with asyncio.timeout(self._connection.call_timeout_s):
                await self._committed._client.force_metadata_update()  # noqa: SLF001 - no public way
                await self._committed.topics()
        return sorted(self._committed.partitions_for_topic(topic) or ())

    async def partitions_of(self, topic: str) -> Sequence[int]:
        """The partition numbers of a topic that a worker has made.

        Raises:
            TopicError: It does not exist.
        """
        if found := await self.partitions(topic):
            return found
        raise TopicError(
            where=f"topic {topic}",
            what="it does not exist",
            next_step="Check STREAMER_KAFKA__TOPIC_PREFIX and that `streamer run` has run.",
        )

    async def read(
        self, topic: str, partition: int, start: int, end: int
    ) -> AsyncIterator[Sequence[Message]]:
        """The committed records from `start` up to `end`, in chunks.

        Raises:
            KafkaUnreachableError: No progress for `STUCK_AFTER_S`: the broker is away, or another
                writer holds a transaction open below `end`.
            ShardRefusedError: The client cannot read what somebody else wrote.
        """
        async for chunk in self.read_all(topic, {partition: (start, end)}):
            yield chunk

    async def read_all(
        self, topic: str, spans: Mapping[int, tuple[int, int]]
    ) -> AsyncIterator[Sequence[Message]]:
        """The committed records of several partitions, each from its start up to its end."""
        left = {
            TopicPartition(topic, partition): end
            for partition, (start, end) in spans.items()
            if start < end
        }
        if not left:
            return
        consumer = self._committed
        consumer.assign(list(left))
        for tp in left:
            consumer.seek(tp, spans[tp.partition][0])
        progress_at = asyncio.get_running_loop().time()
        positions: dict[Any, int] = {}
        while left:
            got = await self._fetched(topic, list(left), wait_ms=LOOKED_EVERY_MS)
            for tp, records in got.items():
                if records[-1].offset < left[tp]:
                    yield records
                    continue
                # Records behind the end asked for were committed while we read: not ours.
                if wanted := [record for record in records if record.offset < left[tp]]:
                    yield wanted
            # `position` also moves past the markers of transactions, which are no records.
            now = await self._positions(topic, left)
            if now != positions:
                progress_at = asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - progress_at > STUCK_AFTER_S:
                raise self._stuck(topic, left)
            positions = {tp: at for tp, at in now.items() if at < left[tp]}
            left = {tp: end for tp, end in left.items() if tp in positions}
            if left:
                consumer.pause(*(tp for tp in consumer.assignment() if tp not in left))
        # What is still being fetched would hold up every question that is asked next, and only
        # this topic would be known.
        consumer.unsubscribe()

    async def follow(
        self, topic: str, starts: Mapping[int, int]
    ) -> AsyncIterator[Sequence[Message]]:
        """The committed records from given offsets on, for ever."""
        consumer = self._committed
        tps = {TopicPartition(topic, partition): start for partition, start in starts.items()}
        consumer.assign(list(tps))
        for tp, start in tps.items():
            consumer.seek(tp, start)
        while True:
            got = await self._fetched(topic, list(tps))
            for records in got.values():
                yield records

    async def _know(self, topics: Iterable[str]) -> None:
        """Have the client know all these topics, with one request.

        Left to itself it asks about one topic that it does not know after the other, 0.1 s each.
        """
        client: Any = self._committed._client  # noqa: SLF001 - no public way
        if any(client.cluster.partitions_for_topic(topic) is None for topic in topics):
            await client.set_topics({*client.cluster.topics(), *topics})

    async def _fetched(
        self, topic: str, tps: Sequence[Any], *, wait_ms: int = FETCH_WAIT_MS
    ) -> Mapping[Any, Sequence[Message]]:
        try:
            with self._connection.explained(f"reading {topic}"):
                return await self._committed.getmany(*tps, timeout_ms=wait_ms, max_records=CHUNK)
        except UnicodeDecodeError:
            # The client decodes the names of headers, and hands over nothing from there on.
            raise ShardRefusedError(
                where=f"topic {topic}",
                what="somebody wrote a record with a header whose name is not UTF-8, "
                "so that nothing behind it can be read",
                next_step="Find out who else writes to this topic. Kafka can delete that record "
                "only together with all before it.",
            ) from None

    async def _positions(self, topic: str, tps: Iterable[Any]) -> dict[Any, int]:
        # It waits for a broker without end if the log was cut in front of us.
        with self._connection.explained(f"reading {topic}"):
            async with asyncio.timeout(STUCK_AFTER_S):
                return {tp: await self._committed.position(tp) for tp in tps}

    def _stuck(self, topic: str, left: Mapping[Any, int]) -> KafkaUnreachableError:
        named = ", ".join(f"{topic}-{tp.partition}" for tp in left)
        return KafkaUnreachableError(
            where=f"Kafka at {self._connection.servers}",
            what=f"reading {named} has not moved for {STUCK_AFTER_S:.0f} s: the broker is away, "
            "or another writer holds a transaction open",
            next_step="Check the broker, and that nobody else writes to these topics.",
        )
