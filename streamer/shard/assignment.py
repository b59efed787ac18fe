"""The shards of one worker: started when assigned, held during a rebalance, stopped when lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from streamer.shard.lifecycle import Shard

if TYPE_CHECKING:
    from collections.abc import Collection

    from streamer.kafka.group import Membership
    from streamer.shard.surroundings import Surroundings

log = structlog.get_logger()

STOP_WITHIN_S: Final = 15.0
"""How long a running transaction may take to end when its shard is given back. More than the
transaction time-out (10 s), after which the broker ends it anyway."""

CANCELLED_WITHIN_S: Final = 5.0
"""What does not even end when it is cancelled is left behind after this time: the group waits."""


class Shards:
    """All shards of one worker.

    Attributes:
        membership: Set before the first shard is taken.
        orderly: Whether every shard that was stopped ended its last transaction by itself.
    """

    def __init__(self, around: Surroundings, tasks: asyncio.TaskGroup) -> None:
        self._around = around
        self._tasks = tasks
        self._running: dict[int, tuple[Shard, asyncio.Task[None]]] = {}
        self._is_first = True
        self.membership: Membership | None = None
        self.orderly = True

    async def take(self, shards: frozenset[int]) -> None:
        """These are ours now, and no others: those that were held go on, the rest is stopped."""
        self._around.board.joined = True
        for number in sorted(shards):
            held = self._running.get(number)
            if held is not None and not held[1].done():
                held[0].go_on()
            elif self.membership is not None:
                self._start(number, self.membership)
        self._is_first = False
        await self._stop(self._running.keys() - shards)

    async def suspend(self, shards: frozenset[int]) -> None:
        """Hold these shards, and return once no transaction of theirs runs; bounded.

        What cannot be held is stopped.
        """
        # Whether the group still has us is known once it tells what is ours now.
        self._around.board.joined = False
        holding = {
            self._tasks.create_task(shard.hold(), name=f"shard {number}: hold"): number
            for number, (shard, task) in self._running.items()
            if number in shards and not task.done()
        }
        if not holding:
            return
        done, late = await asyncio.wait(holding, timeout=STOP_WITHIN_S)
        for hold in late:
            hold.cancel()
        held = {holding[hold] for hold in done if hold.result()}
        await self._stop(shards - held, within_s=0.0 if late else STOP_WITHIN_S)

    async def give_back(self, shards: frozenset[int]) -> None:
        """Stop these shards, and return once none of them runs; bounded."""
        self._around.board.joined = False
        await self._stop(shards)

    def _start(self, number: int, membership: Membership) -> None:
        shard = Shard(number, membership, self._around, is_first=self._is_first)
        task = self._tasks.create_task(shard.run(), name=f"shard {number}")
        self._running[number] = shard, task

    async def _stop(self, shards: Collection[int], *, within_s: float = STOP_WITHIN_S) -> None:
        leaving = [self._running.pop(number) for number in shards if number in self._running]
        if not leaving:
            return
        for shard, task in leaving:
            shard.stop()
            if shard.state in {"assigned", "restoring"}:
                # It only reads, and nobody waits for what it reads.
                task.cancel()
        _, late = await asyncio.wait([task for _, task in leaving], timeout=within_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCELLED_WITHIN_S)
            self.orderly = False
            log.error("shard.stop_forced", shards=[task.get_name() for task in late])
