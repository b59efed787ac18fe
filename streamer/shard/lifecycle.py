"""One shard, from the moment a worker is assigned it until it is given back.

Its states, and which may follow which, are in `state`. Whatever goes wrong, nothing is mended in
memory: the producer is thrown away, and the shard starts over from the log, which is the only state
there is.

Why the producer starts before the checkpoint is read: starting it fences the previous owner, so
that what is read afterwards can no longer change. Why the coordinator is asked before and after: a
worker that wakes up late would otherwise fence the rightful owner.

Why a shard that comes back at once after a rebalance goes on where it was, without reading anything
back: nobody can have written to it in between without starting a producer of this id, and that
fences ours, so that its next transaction is refused and the shard starts over from the log. Only
the end of its last transaction must be known, and it is: a shard is held between two of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

import structlog

from streamer.errors import (
    CommitRefusedError,
    CommitUnknownError,
    EnvironmentReturnedError,
    KafkaUnreachableError,
    ShardLostError,
    ShardRefusedError,
    StreamerError,
)
from streamer.kafka.transaction import TransactionalProducer
from streamer.shard.caution import Caution
from streamer.shard.commits import GroupCommits
from streamer.shard.reading import Reading
from streamer.shard.restore import Restore
from streamer.shard.state import StateMachine

if TYPE_CHECKING:
    from streamer.kafka.group import Membership
    from streamer.shard.surroundings import Surroundings
    from streamer.telemetry.board import ShardState

log = structlog.get_logger()

RETRY_AFTER_S: Final = 0.25
"""Before a shard that failed starts over; doubled each time up to `RETRY_AT_MOST_S`."""

RETRY_AT_MOST_S: Final = 10.0

RUNNING_WELL_S: Final = 30.0
"""A shard that ran this long begins with short waits again."""


class Shard:
    """One partition of every topic that is keyed by environment, while it is ours."""

    def __init__(
        self,
        number: int,
        membership: Membership,
        around: Surroundings,
        *,
        is_first: bool,
    ) -> None:
        """Begin nothing yet.

        Args:
            number: Of the partitions.
            membership: Knows whether the shard is still ours.
            around: What all shards are handed.
            is_first: Whether the worker has just started: what contradicts us then ends it.
        """
        self.number: Final = number
        self._membership = membership
        self._around = around
        self._is_first = is_first
        self._state = StateMachine(number, around.board)
        self._caution = Caution(number)
        self._stopping = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._commits: GroupCommits | None = None
        self._ended_leftovers = False
        self._reads_everything = False
        self._log = log.bind(shard=number)

    @property
    def state(self) -> ShardState:
        """Where the shard is in its life."""
        return self._state.state

    async def run(self) -> None:
        """Restore and run, over and over, until stopped or no longer ours.

        Raises:
            ShardRefusedError: At the start of the worker: what the log says contradicts what we
                were told.
        """
        wait_s = RETRY_AFTER_S
        reason = "assigned"
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                grows = True
                try:
                    if not await self._attempt(reason):
                        self._log.info("shard.lost", reason="it is not assigned to us any more")
                        return
                except* (
                    ShardLostError,
                    CommitUnknownError,
                    CommitRefusedError,
                    KafkaUnreachableError,
                    ShardRefusedError,
                    EnvironmentReturnedError,
                ) as group:
                    error = _first(group)
                    reason = type(error).__name__.removesuffix("Error")
                    grows = await self._failed(error)
                if time.monotonic() - began > RUNNING_WELL_S:
                    wait_s = RETRY_AFTER_S
                await self._pause(wait_s)
                wait_s = min(2 * wait_s, RETRY_AT_MOST_S) if grows else RETRY_AFTER_S
                await self._free.wait()
        finally:
            self._state.enter("stopped")
            self._around.board.drop_shard(self.number)

    def stop(self) -> None:
        """Ask the shard to end its running transaction and stop."""
        self._stopping.set()
        self._free.set()

    async def hold(self) -> bool:
        """Let the running transaction end, and begin none before `go_on`.

        Returns:
            Whether it can go on. One that does not run has to be stopped instead: a producer that
            starts later would fence whoever is assigned the shard by then. One that was told to
            stop, in the same moment, is told nothing more, and would wait for `go_on` without end.
        """
        commits = self._commits
        if commits is None or self.state != "running" or self._stopping.is_set():
            return False
        self._free.clear()
        self._state.enter("draining")
        await commits.hold()
        return True

    def go_on(self) -> None:
        """Go on where it was held: the shard is ours again."""
        self._free.set()
        if self._commits is not None and self.state == "draining":
            self._state.enter("running")
            self._commits.go_on()

    async def _attempt(self, reason: str) -> bool:
        """Restore and run once. False: the shard is not ours any more."""
        self._state.enter("restoring")
        settings = self._around.settings.kafka
        if not await self._membership.still_mine(self.number):
            return False
        producer = TransactionalProducer(
            self._around.connection,
            transactional_id=f"streamer.{settings.audit_topic}.{self.number}",
            partition=self.number,
            compression=settings.compression,
            transaction_timeout_s=settings.transaction_timeout,
            max_record_bytes=self._around.limits.max_record_bytes,
        )
        try:
            await producer.start()
            if not await self._membership.still_mine(self.number):
                return False
            began = time.monotonic()
            restored = Restore(self.number, self._around)
            await restored.read(wait=self._ended_leftovers, everything=self._reads_everything)
            if restored.left_open:
                self._ended_leftovers = True
                self._log.error("shard.transaction_left_open", reason="ended with an abort")
                await producer.abort_leftovers(self._around.topics.names)
                return True
            self._ended_leftovers = False
            self._reads_everything = False
            self._around.incidents.restored(
                shard=self.number,
                reason=reason,
                records=restored.records,
                duration_s=time.monotonic() - began,
            )
            if not self._stopping.is_set():
                await self._serve(producer, restored)
        finally:
            await producer.discard()
        return True

    async def _serve(self, producer: TransactionalProducer, restored: Restore) -> None:
        self._is_first = False
        self._around.board.refusals.pop(self.number, None)
        commits = GroupCommits(
            producer,
            self._around.topics,
            shard=self.number,
            end=restored.end,
            first=restored.shard_record,
            limits=self._around.limits,
            caution=self._caution,
            incidents=self._around.incidents,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(commits.run(), name=f"shard {self.number}: commits")
                reading = group.create_task(
                    Reading(self.number, self._around, restored, commits).run(),
                    name=f"shard {self.number}: reading",
                )
                self._commits = commits
                self._state.enter("running")
                await self._stopping.wait()
                self._state.enter("draining")
                # Reading can stop anywhere; a commit that has begun must end.
                reading.cancel()
                commits.stop()
        finally:
            self._commits = None

    async def _failed(self, error: StreamerError) -> bool:
        """Take note of what ended an attempt; whether the next one has to wait longer.

        Raises:
            ShardRefusedError: At the start of the worker.
        """
        if not self._stopping.is_set():
            self._state.enter("fenced" if isinstance(error, ShardLostError) else "restoring")
        if isinstance(error, ShardRefusedError):
            if self._is_first:
                raise error
            self._around.board.refusals[self.number] = error.what
            self._log.error("shard.refused", reason=str(error))
            return True
        self._reads_everything = isinstance(error, EnvironmentReturnedError)
        self._log.warning("shard.starts_over", reason=str(error))
        if not isinstance(error, CommitRefusedError):
            return True
        before = self._around.limits.max_record_bytes
        await self._around.limits.refresh()
        is_another = error.is_narrowed or before != self._around.limits.max_record_bytes
        # What may pass by itself is given time: no event is to become a stub for it.
        return not (is_another and error.is_certain)

    async def _pause(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()


def _first(group: BaseExceptionGroup[StreamerError]) -> StreamerError:
    error: BaseExceptionGroup[StreamerError] | StreamerError = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
