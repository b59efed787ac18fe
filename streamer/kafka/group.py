"""Membership of the consumer group: which shards are mine now.

The worker subscribes to the checkpoint topic only to be assigned its partitions; they are paused,
so that nothing is fetched through this consumer. Whoever owns a partition owns the shard of that
number.

`assignment()` is no proof of ownership: a worker that was frozen past its session time-out still
names its lost shards for a while. `still_mine` asks the coordinator instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from typing_extensions import override

from streamer.errors import KafkaUnreachableError
from streamer.kafka.rival import Rival
from streamer.kafka.stopping import stop_consumer

if TYPE_CHECKING:
    from collections.abc import Collection

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection

log = structlog.get_logger()

HEARTBEATS_A_SESSION: Final = 12
"""A worker that misses this many heartbeats in a row loses its shards."""

REBALANCE_TIMEOUT_S: Final = 30.0
"""How long a worker may take to give its shards back in a rebalance. More than a transaction may
last (10 s), so that a running commit can end."""

IDLE_AT_MOST_S: Final = 300.0
"""A member that nobody asks for messages leaves the group after this time, and for good, however
well its heart beats."""

ASKED_EVERY_S: Final = 1.0
"""So it is asked this often, although its partitions are paused and there are none."""

LEAVE_WITHIN_S: Final = 3.0
"""How long saying good-bye to the group may take. It spares the others the session time-out, and no
more; with a running transaction (10 s) before it, it has to fit into the time for a shutdown."""

NO_GENERATION: Final = -1
"""What a member that has lost its place sends instead of one."""


class ShardOwner(Protocol):
    """Who is told which shards it has."""

    async def take(self, shards: frozenset[int]) -> None:
        """These shards are ours now, and no others. Called after `suspend` of what was ours."""

    async def suspend(self, shards: frozenset[int]) -> None:
        """Return once nothing is being written to these shards, and begin nothing; bounded.

        A rebalance has begun, and `take` will tell how it ended; or we leave, and `give_back` will.
        """

    async def give_back(self, shards: frozenset[int]) -> None:
        """Stop these shards and return once nothing of them runs; bounded."""


class Membership:
    """One worker's place in the group.

    Attributes:
        failed: Set to what an owner raised while it took or gave back shards: aiokafka would log
            and swallow it, and the group would go on with a worker that does nothing. Also to what
            ended the client's own work for the group, after which it would do nothing either.
    """

    def __init__(self, connection: Connection, settings: KafkaSettings, owner: ShardOwner) -> None:
        self._connection = connection
        self._topic = settings.checkpoint_topic
        self._owner = owner
        self._rival = None if settings.group_instance_id is None else Rival()
        session_ms = round(settings.session_timeout * 1000)
        self._options: Final[dict[str, Any]] = {
            "group_id": settings.group_id,
            "group_instance_id": settings.group_instance_id,
            "session_timeout_ms": session_ms,
            "heartbeat_interval_ms": session_ms // HEARTBEATS_A_SESSION,
            "rebalance_timeout_ms": round(REBALANCE_TIMEOUT_S * 1000),
            "max_poll_interval_ms": round(IDLE_AT_MOST_S * 1000),
            # The only assignor that holds with this client: "sticky" is not.
            "partition_assignment_strategy": (RoundRobinPartitionAssignor,),
            "enable_auto_commit": False,
            "auto_offset_reset": "latest",
        }
        self._consumer = self._make_consumer()
        self.failed: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self._mine: set[int] = set()
        self._staying: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()

    async def join(self) -> None:
        """Join the group; from now on the owner is told.

        Raises:
            KafkaUnreachableError: Kafka could not be spoken to; it may be tried again.
        """
        self._consumer.subscribe([self._topic], listener=_Listener(self))
        try:
            with self._connection.explained("joining the consumer group"):
                async with asyncio.timeout(self._connection.call_timeout_s):
                    await self._consumer.start()
        except KafkaUnreachableError:
            # It cannot be started twice.
            await stop_consumer(self._consumer, within_s=LEAVE_WITHIN_S)
            self._consumer = self._make_consumer()
            raise
        self._staying = asyncio.create_task(self._stay(), name="group: stay")

    async def still_mine(self, shard: int) -> bool:
        """Whether the coordinator, asked now, still counts the shard as ours.

        Raises:
            KafkaUnreachableError: The coordinator did not answer in time.
        """
        with self._connection.explained("asking the group coordinator"):
            async with asyncio.timeout(self._connection.call_timeout_s):
                generation = self._generation()
                try:
                    # An OffsetCommit carries our generation: a stale one is refused at once.
                    await self._consumer.commit({TopicPartition(self._topic, shard): 0})
                except (CommitFailedError, IllegalStateError):
                    return False
                # One without a generation, after we were thrown out, is taken from anybody as long
                # as the group is empty.
                return generation == self._generation() != NO_GENERATION

    async def leave(self) -> None:
        """Give the shards back and leave the group, bounded.

        aiokafka calls no listener on `stop()`, so that the owner is asked here.
        """
        self._leaving.set()
        await self._owner.give_back(frozenset(self._mine))
        self._mine.clear()
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait({self._staying})
        await stop_consumer(self._consumer, within_s=LEAVE_WITHIN_S)

    def _make_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(**self._connection.options(), **self._options)

    async def _stay(self) -> None:
        """Ask for messages, again and again: only that keeps the place in the group.

        It also fetches what the client could not do for the group (a permission that is missing):
        until somebody has taken note of it, the client does not try again. And it lives as long as
        the worker, so that a password that was rotated has to reach it.
        """
        coordinator: Any = self._consumer._coordinator  # noqa: SLF001 - there is no public way
        while True:
            self._connection.renew_password(self._consumer._client)  # noqa: SLF001 - no public way
            try:
                await self._consumer.getmany(timeout_ms=round(ASKED_EVERY_S * 1000))
            except Exception as error:  # noqa: BLE001 - a worker without a group does nothing
                is_over = coordinator._coordination_task.done()  # noqa: SLF001
                if is_over or not isinstance(error, KafkaError):
                    self._fail(error)
                    return
                log.warning("group.member_failed", reason=str(error) or type(error).__name__)
                await asyncio.sleep(ASKED_EVERY_S)

    async def _assigned(self, partitions: Collection[TopicPartition]) -> None:
        if self._leaving.is_set():
            # Another one left at the same time: nobody would give these back.
            return
        if self._rival is not None:
            self._rival.let_in()
        self._consumer.pause(*partitions)
        self._mine = {tp.partition for tp in partitions}
        await self._owner.take(frozenset(self._mine))

    async def _revoked(self) -> None:
        mine = frozenset(self._mine)
        if self._generation() == NO_GENERATION:
            # We were thrown out, and others had our shards long enough to begin on them.
            self._mine.clear()
            await self._owner.give_back(mine)
            await self._leave_to_rival()
        else:
            await self._owner.suspend(mine)

    async def _leave_to_rival(self) -> None:
        """Stay away for a while, if another worker has our name."""
        wait_s = 0.0 if self._rival is None else self._rival.thrown_out()
        if wait_s:
            log.error(
                "group.name_in_use",
                wait_s=round(wait_s, 1),
                reason="another worker has the same STREAMER_KAFKA__GROUP_INSTANCE_ID; "
                "give each its own",
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._leaving.wait()

    def _generation(self) -> int:
        coordinator: Any = self._consumer._coordinator  # noqa: SLF001 - there is no public way
        generation: int = coordinator.generation
        return generation

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)


class _Listener(ConsumerRebalanceListener):
    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    @override
    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        try:
            await self._membership._assigned(assigned)  # noqa: SLF001 - one thing in two classes
        except Exception as error:
            self._membership._fail(error)  # noqa: SLF001
            raise

    @override
    async def on_partitions_revoked(self, _: Collection[TopicPartition]) -> None:
        try:
            await self._membership._revoked()  # noqa: SLF001
        except Exception as error:
            self._membership._fail(error)  # noqa: SLF001
            raise
