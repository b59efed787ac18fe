"""One shard, from the moment a worker is assigned it until it is given back.

    restoring -> running -> draining -> stopped
        ^           |
        +- fenced <-+   still assigned: from the beginning; else: stopped

Whatever goes wrong, nothing is mended in memory: the producer is thrown away, and the shard starts
over from the log, which is the only state there is.

Why the producer starts before the checkpoint is read: starting it fences the previous owner, so
that what is read afterwards can no longer change. Why the coordinator is asked before and after: a
worker that wakes up late would otherwise fence the rightful owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from streamer.errors import (
    CommitRefusedError,
    CommitUnknownError,
    KafkaUnreachableError,
    ShardLostError,
    StreamerError,
)
from streamer.kafka.partitions import partition_of
from streamer.kafka.transaction import TransactionalProducer
from streamer.shard.commits import GroupCommits
from streamer.shard.restore import Restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streamer.archiver import Archiver, Resumed
    from streamer.audit.privacy import Privacy
    from streamer.capture.environments import Environments
    from streamer.config import Settings
    from streamer.flatfile.models import Environment
    from streamer.flatfile.server_profile import ServerProfile
    from streamer.kafka.client import Connection
    from streamer.kafka.group import Membership
    from streamer.kafka.topics import Topics
    from streamer.offer import Committer
    from streamer.telemetry.board import Board, ShardState
    from streamer.telemetry.incidents import Incidents

log = structlog.get_logger()

RETRY_AFTER_S: Final = 0.25
"""Before a shard that failed starts over; doubled each time up to `RETRY_AT_MOST_S`."""

RETRY_AT_MOST_S: Final = 10.0

RUNNING_WELL_S: Final = 30.0
"""A shard that ran this long begins with short waits again."""

STOP_WITHIN_S: Final = 15.0
"""How long a running transaction may take to end when its shard is given back. More than the
transaction time-out (10 s), after which the broker ends it anyway."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every shard of a worker is handed: built once by the daemon.

    Attributes:
        start: `STREAMER_CAPTURE__START` as an instant, for shards that have none in their record.
        archiver: Builds the archiver of an environment from where it stands.
    """

    settings: Settings
    connection: Connection
    topics: Topics
    account_id: str
    start: datetime | None
    profile: ServerProfile
    environments: Environments
    archiver: Callable[[Environment, int, Resumed, Committer], Archiver]
    board: Board
    incidents: Incidents
    privacy: Privacy


class Shard:
    """One partition of every topic that is keyed by environment, while it is ours."""

    def __init__(self, number: int, membership: Membership, around: Surroundings) -> None:
        self.number: Final = number
        self._membership = membership
        self._around = around
        self._stopping = asyncio.Event()
        self._ended_leftovers = False
        self._log = log.bind(shard=number)

    async def run(self) -> None:
        """Restore and run, over and over, until stopped or lost to another worker.

        Raises:
            ShardRefusedError: What the log says contradicts what we were told.
        """
        wait_s = RETRY_AFTER_S
        reason = "assigned"
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    if not await self._attempt(reason):
                        self._log.info("shard.lost", reason="it has a new owner")
                        return
                except* (
                    ShardLostError,
                    CommitUnknownError,
                    CommitRefusedError,
                    KafkaUnreachableError,
                ) as group:
                    reason = self._failed(group)
                if time.monotonic() - began > RUNNING_WELL_S:
                    wait_s = RETRY_AFTER_S
                await self._pause(wait_s)
                wait_s = min(2 * wait_s, RETRY_AT_MOST_S)
        finally:
            self._around.board.drop_shard(self.number)
            self._log.info("shard.state_changed", state="stopped")

    def stop(self) -> None:
        """Ask the shard to end its running transaction and stop."""
        self._stopping.set()

    async def _attempt(self, reason: str) -> bool:
        """Restore and run once. False: the shard is not ours any more."""
        self._enter("restoring")
        settings = self._around.settings.kafka
        if not await self._membership.still_mine(self.number):
            return False
        producer = TransactionalProducer(
            self._around.connection,
            transactional_id=f"streamer.{settings.audit_topic}.{self.number}",
            partition=self.number,
            compression=settings.compression,
            transaction_timeout_s=settings.transaction_timeout,
        )
        try:
            await producer.start()
            if not await self._membership.still_mine(self.number):
                return False
            began = time.monotonic()
            restored = Restore(self.number, self._around)
            await restored.read(wait=self._ended_leftovers)
            if restored.left_open:
                self._ended_leftovers = True
                self._log.error("shard.transaction_left_open", reason="ended with an abort")
                await producer.abort_leftovers(self._around.topics.names)
                return True
            self._ended_leftovers = False
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
        commits = GroupCommits(
            producer,
            self._around.topics,
            shard=self.number,
            end=restored.end,
            first=restored.shard_record,
            incidents=self._around.incidents,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(commits.run(), name=f"shard {self.number}: commits")
            reading = group.create_task(
                self._read_environments(commits, restored), name=f"shard {self.number}: reading"
            )
            self._enter("running")
            await self._stopping.wait()
            self._enter("draining")
            # Reading can stop anywhere; a commit that has begun must end.
            reading.cancel()
            commits.stop()

    async def _read_environments(self, commits: GroupCommits, restored: Restore) -> None:
        """Run an archiver for each environment of this shard, as they appear."""
        have: set[str] = set()
        async with asyncio.TaskGroup() as group:
            for environment in restored.environments:
                have.add(environment.id)
                self._start_archiver(group, environment, commits, restored)
            while True:
                known = await self._around.environments.more_than(have)
                for environment in known.values():
                    if environment.id in have:
                        continue
                    have.add(environment.id)
                    if partition_of(environment.id, self._around.topics.partitions) == self.number:
                        self._start_archiver(group, environment, commits, restored)

    def _start_archiver(
        self,
        group: asyncio.TaskGroup,
        environment: Environment,
        commits: GroupCommits,
        restored: Restore,
    ) -> None:
        archiver = self._around.archiver(
            environment, self.number, restored.resume(environment), commits
        )
        group.create_task(archiver.run(), name=f"archiver {environment.id}")

    def _failed(self, group: BaseExceptionGroup[StreamerError]) -> str:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ShardLostError):
            self._enter("fenced")
        reason = type(error).__name__.removesuffix("Error")
        self._log.warning("shard.starts_over", reason=str(error))
        return reason

    def _enter(self, state: ShardState) -> None:
        self._around.board.shards[self.number] = state
        self._log.info("shard.state_changed", state=state)

    async def _pause(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()


class Shards:
    """All shards of one worker: started when assigned, stopped before they are given back.

    Attributes:
        membership: Set before the first shard is taken.
        orderly: Whether every shard that was given back ended its last transaction by itself.
    """

    def __init__(self, around: Surroundings, tasks: asyncio.TaskGroup) -> None:
        self._around = around
        self._tasks = tasks
        self._running: dict[int, tuple[Shard, asyncio.Task[None]]] = {}
        self.membership: Membership | None = None
        self.orderly = True

    async def take(self, shards: frozenset[int]) -> None:
        """Start these shards."""
        self._around.board.joined = True
        for number in sorted(shards):
            if self.membership is not None:
                shard = Shard(number, self.membership, self._around)
                task = self._tasks.create_task(shard.run(), name=f"shard {number}")
                self._running[number] = shard, task

    async def give_back(self, shards: frozenset[int]) -> None:
        """Stop these shards, and return once none of them runs; bounded."""
        # Whether the group still has us is known once it tells what is ours now.
        self._around.board.joined = False
        leaving = [self._running.pop(number) for number in shards if number in self._running]
        if not leaving:
            return
        for shard, _ in leaving:
            shard.stop()
        tasks = [task for _, task in leaving]
        _, late = await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            self.orderly = False
            log.error("shard.stop_forced", shards=[task.get_name() for task in late])
