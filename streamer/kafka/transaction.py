"""One transactional producer: start (which fences), commit a batch, throw away.

It is used until the first thing goes wrong, and then thrown away: after a refused batch aiokafka's
sequence numbers have moved on, after an aborted or repeated EndTxn a late copy of that request may
still hit a later transaction of the same epoch. A new producer has a new epoch, and the broker
refuses whatever is left of the old one.

aiokafka retries for ever with idempotence on, and neither `start()` nor `commit_transaction()` nor
`stop()` has a bound; every call here has one.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    CorruptRecordException,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTimestampError,
    InvalidTxnState,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    PolicyViolationError,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownError,
)
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.errors import CommitRefusedError, CommitUnknownError, ShardLostError
from streamer.kafka.stopping import is_ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from streamer.kafka.client import Connection

MAX_BATCH_BYTES: Final = 512 * 1024
"""Uncompressed. Larger batches compress better and cost less; one must stay below what a topic
takes, also when it does not compress at all."""

BATCH_HEADROOM_BYTES: Final = 1024
"""Of what a topic takes, left for what a codec adds to bytes that do not compress."""

DISCARD_WITHIN_S: Final = 5.0
"""How long a producer that is thrown away may take to end its tasks."""

REQUEST_SHARE: Final = 0.5
"""Of the transaction time-out: how long one request may take. Smaller than 1, so that a transaction
whose EndTxn got no answer is known to be unknown before the broker aborts it by itself."""

_FENCED: Final = (
    ProducerFenced,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidTxnState,
    OutOfOrderSequenceNumber,
)
_REFUSED: Final = (
    CorruptRecordException,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnknownError,  # Stands for what the client has no name for, such as INVALID_RECORD (87).
)
_DOUBTFUL: Final = (CorruptRecordException, UnknownError)
"""Refusals that brokers also give in passing, whatever the batch holds."""


Headers = list[tuple[str, bytes]]
"""The headers of a message; the client takes nothing but a list."""

_NO_HEADERS: Headers = []


class Message(Protocol):
    """What can be published."""

    @property
    def key(self) -> bytes:
        """Decides on the partition."""

    @property
    def value(self) -> bytes | None:
        """None: a tombstone."""

    @property
    def headers(self) -> Headers:
        """In the order in which they are sent."""


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One message to publish, of whatever kind."""

    key: bytes
    value: bytes | None
    headers: Headers = _NO_HEADERS


class Committed(NamedTuple):
    """Where the messages of a committed transaction lie.

    Attributes:
        runs: By topic, what was acknowledged together: index of its first message, and the offset
            that one has; within a run offsets rise by one.
    """

    runs: Mapping[str, Sequence[tuple[int, int]]]

    def offset(self, topic: str, index: int) -> int:
        """The offset of the message that was handed over as number `index` for `topic`."""
        first, base = max(run for run in self.runs[topic] if run[0] <= index)
        return base + index - first


class TransactionalProducer:
    """A producer with a transactional id, for one partition number of several topics."""

    def __init__(
        self,
        connection: Connection,
        *,
        transactional_id: str,
        partition: int,
        compression: str,
        transaction_timeout_s: float,
        max_record_bytes: int = 2 * MAX_BATCH_BYTES,
    ) -> None:
        """Start nothing yet.

        Args:
            connection: Where the brokers are.
            transactional_id: What is fenced: one producer of this id at a time.
            partition: Of every topic.
            compression: Codec, or `none`.
            transaction_timeout_s: After which the broker aborts what is open.
            max_record_bytes: The least that one of the topics takes in one batch.
        """
        self.transactional_id: Final = transactional_id
        self._partition = partition
        self._where = f"Kafka transaction {transactional_id}"
        self._connection = connection
        self._transaction_timeout_s = transaction_timeout_s
        self._request_timeout_s = transaction_timeout_s * REQUEST_SHARE
        self._producer = AIOKafkaProducer(
            **connection.options(),
            transactional_id=transactional_id,
            transaction_timeout_ms=round(transaction_timeout_s * 1000),
            request_timeout_ms=round(self._request_timeout_s * 1000),
            compression_type=None if compression == "none" else compression,
            max_batch_size=min(MAX_BATCH_BYTES, max_record_bytes - BATCH_HEADROOM_BYTES),
        )
        self._end_requests = 0
        self._count_end_requests()
        self._requesting: set[asyncio.Task[Any]] = set()
        self._remember_tasks()

    async def start(self) -> None:
        """Start, which fences every other producer of this id and ends what it had open.

        Raises:
            KafkaUnreachableError: Not within the start-up time-out.
        """
        with self._connection.explained("starting a transactional producer"):
            async with asyncio.timeout(self._connection.call_timeout_s):
                await self._producer.start()

    async def commit(
        self,
        messages: Mapping[str, Sequence[Message]],
        *,
        last: Callable[[Committed], Mapping[str, Sequence[Message]]],
    ) -> Committed:
        """Publish messages in one transaction.

        Args:
            messages: By topic.
            last: Makes the messages that go last, from where the others lie: the checkpoints. They
                are sent once everything else is acknowledged: should a transaction be torn by the
                broker all the same, it shows as records without a checkpoint, which a restore
                mends.

        Returns:
            Where the messages lie. Only now may anyone's state move.

        Raises:
            ShardLostError: Fenced, or the transaction outlived its time-out.
            CommitRefusedError: The broker refused a batch; nothing is committed.
            CommitUnknownError: Anything else. Nothing may be assumed of the outcome.
        """
        self._connection.renew_password(self._producer.client)
        try:
            async with asyncio.timeout(self._transaction_timeout_s):
                await self._producer.begin_transaction()
                committed = Committed(await self._send(messages))
                await self._send(last(committed))
            self._end_requests = 0
            async with asyncio.timeout(self._request_timeout_s):
                await self._producer.commit_transaction()
        except _FENCED as error:
            raise ShardLostError(
                where=self._where,
                what=f"the broker fenced this producer ({type(error).__name__})",
                next_step="A new owner or a transaction that took too long; the group decides.",
            ) from error
        except (KafkaError, TimeoutError, OSError, AssertionError) as error:
            # The client guards its own states with `assert`.
            raise self._unknown(str(error) or type(error).__name__) from error
        if self._end_requests != 1:
            repeated = f"its end was asked for {self._end_requests} times"
            raise self._unknown(repeated)
        return committed

    async def abort_leftovers(self, topics: Iterable[str]) -> None:
        """Write the end of what an earlier producer of this id left open, and nobody else ends.

        A coordinator that aborts while its broker comes back can forget to tell a partition (seen
        with one node, killed amid a transaction): the partition is then held open for good, also
        for every `read_committed` consumer. An abort by the same id, with nothing in it, ends that
        as well. Throw the producer away afterwards, as after every abort.

        Raises:
            KafkaUnreachableError: Not within the transaction time-out.
        """
        with self._connection.explained("ending what an earlier transaction left open"):
            async with asyncio.timeout(self._transaction_timeout_s):
                await self._producer.begin_transaction()
                for topic in topics:
                    # No public way without sending a record.
                    self._producer._txn_manager.maybe_add_partition_to_txn(  # noqa: SLF001
                        TopicPartition(topic, self._partition)
                    )
                await self._producer.abort_transaction()

    async def discard(self) -> None:
        """End the producer without flushing anything.

        What was open is aborted by whoever starts next with the same id, or by the broker after the
        transaction time-out.
        """
        producer = self._producer
        # `stop()` would flush first, and wait for that without a bound.
        producer._closed = True  # noqa: SLF001 - tells __del__ that it was closed on purpose
        sender = producer._sender.sender_task  # noqa: SLF001 - the only handle on that task
        # The sender, cancelled, waits for its requests, and those look for a broker without end.
        tasks = [*self._requesting, *([] if sender is None else [sender])]
        for task in tasks:
            task.cancel()
            task.add_done_callback(_take_note)  # It has been reported by the call it failed.
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=DISCARD_WITHIN_S)
        finally:
            # Also if whoever throws it away is cancelled: its connections would stay.
            await is_ended(producer.client.close(), within_s=DISCARD_WITHIN_S)

    async def _send(
        self, messages: Mapping[str, Sequence[Message]]
    ) -> dict[str, list[tuple[int, int]]]:
        sent: list[tuple[str, int, asyncio.Future[Any]]] = []
        for topic in messages:
            start = 0
            while start < len(messages[topic]):
                batch, end = self._fill(messages[topic], start)
                future = await self._producer.send_batch(batch, topic, partition=self._partition)
                future.add_done_callback(_take_note)
                sent.append((topic, start, future))
                start = end
        runs: dict[str, list[tuple[int, int]]] = {}
        if sent:
            await asyncio.wait([future for _, _, future in sent])
        for topic, first, future in sent:
            # A commit can succeed although a send failed: every future is looked at.
            try:
                runs.setdefault(topic, []).append((first, future.result().offset))
            except _REFUSED as error:
                raise CommitRefusedError(
                    topic=topic,
                    reason=type(error).__name__,
                    is_certain=not isinstance(error, _DOUBTFUL),
                ) from error
        return runs

    def _fill(self, messages: Sequence[Message], start: int) -> tuple[Any, int]:
        batch: Any = self._producer.create_batch()
        # What the batch itself does for each message (serializers) costs as much as writing it.
        append = batch._builder.append  # noqa: SLF001
        # LogAppendTime replaces it anyway.
        now_ms = round(time.time() * 1000)
        end = start
        for one in islice(messages, start, None):
            if append(end - start, now_ms, one.key, one.value, one.headers) is None:
                break
            end += 1
        batch._relative_offset = end - start  # noqa: SLF001
        batch.close()
        return batch, end

    def _count_end_requests(self) -> None:
        client: Any = self._producer.client
        send = client.send

        async def counting(node_id: int, request: object, **options: object) -> object:
            if isinstance(request, EndTxnRequest):
                self._end_requests += 1
            return await send(node_id, request, **options)

        client.send = counting

    def _remember_tasks(self) -> None:
        sender: Any = self._producer._sender  # noqa: SLF001 - its tasks have no other handle

        def remembered(request: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def run(*args: object) -> object:
                task = asyncio.current_task()
                if task is not None:
                    self._requesting.add(task)
                    task.add_done_callback(self._requesting.discard)
                return await request(*args)

            return run

        for name in ("_send_produce_req", "_do_add_partitions_to_txn", "_do_txn_commit"):
            setattr(sender, name, remembered(getattr(sender, name)))

    def _unknown(self, why: str) -> CommitUnknownError:
        return CommitUnknownError(
            where=self._where,
            what=f"the outcome of a commit is unknown: {why}",
            next_step="The shard is restored from the log.",
        )


def _take_note(sent: asyncio.Future[Any]) -> None:
    """Look at an outcome: one exception is raised of several, and the others are no news."""
    if not sent.cancelled():
        sent.exception()
