"""A worker that is killed over and over at random moments, while an independent consumer reads on.

Four environments with a backlog, a slow API, live events; `kill -9`, a restart, and so on. Ends
when the topic has caught up with what the account shows.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from confluent_kafka.admin import AdminClient

from tests.support.audit_follower import AuditFollower, ends_with
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from tests.support.judge import Findings

STARTING_SHARE: Final = 0.2
"""Of the kills: while the worker starts, before or amid its restore."""

STARTING_S: Final = 1.5
"""How long a worker takes to start, about."""


@dataclass(frozen=True, slots=True)
class KillPlan:
    """How often, and amid how much.

    Attributes:
        seed: Of the moments.
        kills: How many at random moments.
        in_transaction: How many must leave an open transaction behind. Where chance brings fewer,
            more workers are killed, as soon as one is seen from outside; at most `kills` more.
        events: The backlog.
        running_s: How long a worker that has started lives at most.
        catch_up_s: How long the last worker may take to finish.
    """

    seed: int
    kills: int
    in_transaction: int
    events: int
    running_s: float
    catch_up_s: float


class Kill(NamedTuple):
    """One `kill -9`.

    Attributes:
        after_s: Since the start of that worker.
        records: How many records the consumer had by then.
        in_transaction: Whether a transaction was open on the audit topic right after it.
        with_backlog: Whether a part of the backlog was not yet in the topic.
    """

    after_s: float
    records: int
    in_transaction: bool
    with_backlog: bool


@dataclass(slots=True)
class KillReport:
    """What happened, for the test to judge and to print."""

    plan: KillPlan
    findings: Findings
    records: int
    kills: list[Kill] = field(default_factory=list)

    @property
    def with_backlog(self) -> int:
        """How many kills happened while backlog was left."""
        return sum(kill.with_backlog for kill in self.kills)

    @property
    def in_transaction(self) -> int:
        """How many kills left an open transaction behind."""
        return sum(kill.in_transaction for kill in self.kills)

    def told(self) -> str:
        """All of it in lines."""
        first = (
            f"{len(self.kills)} kills (seed {self.plan.seed}), {self.with_backlog} with backlog "
            f"left, {self.in_transaction} inside an open transaction; {self.records} records"
        )
        lines = [
            f"  after {kill.after_s:.2f} s at {kill.records} records"
            f"{', backlog left' if kill.with_backlog else ''}"
            f"{', in a transaction' if kill.in_transaction else ''}"
            for kill in self.kills
        ]
        return "\n".join([first, *lines])


async def kill_over_and_over(servers: str, prefix: str, plan: KillPlan) -> KillReport:
    """Carry a plan out against a running broker."""
    async with (
        SandboxProcess(
            environments=4, events=plan.events, rate=50.0, latency_s=0.05, page_cap=200
        ) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
    ):
        # The only worker: a restart takes its shards back at once.
        environ = environ_of(sandbox, servers, prefix, KAFKA__GROUP_INSTANCE_ID="only")
        killer = _Killer(plan, follower, servers, f"{prefix}.audit")
        while not killer.is_done:
            async with DaemonProcess(environ) as daemon:
                await killer.kill(daemon)
        async with DaemonProcess(environ, follower=follower) as daemon:
            # Newer than all others: whoever has published these has published those.
            await sandbox.settings(rate=0.0)
            last = await sandbox.emit_everywhere()
            await follower.until_published(last, within_s=plan.catch_up_s)
            assert await daemon.stop() == 0
        findings = await follower.findings(await sandbox.ledger())
        return KillReport(plan, findings, follower.judge.records, killer.kills)


class _Killer:
    """Kills workers as planned, and notes what it interrupted."""

    def __init__(self, plan: KillPlan, follower: AuditFollower, servers: str, topic: str) -> None:
        self.kills: list[Kill] = []
        self._plan = plan
        self._follower = follower
        self._topic = topic
        self._admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._chance = random.Random(plan.seed)  # noqa: S311 - moments, no secrets

    @property
    def is_done(self) -> bool:
        """Whether enough were killed."""
        in_transaction = sum(kill.in_transaction for kill in self.kills)
        enough = in_transaction >= self._plan.in_transaction
        return len(self.kills) >= self._plan.kills * (1 if enough else 2)

    async def kill(self, daemon: DaemonProcess) -> None:
        """Kill a worker that was just started, when its time has come."""
        began = time.monotonic()
        if len(self.kills) >= self._plan.kills:
            await daemon.until_logged("shard.restored")
            async with asyncio.timeout(self._plan.running_s):
                while not await self._is_open():
                    pass
        elif self._chance.random() < STARTING_SHARE:
            await _runs_for(daemon, self._chance.uniform(0, STARTING_S))
        else:
            await daemon.until_logged("shard.restored")
            await _runs_for(daemon, self._chance.uniform(0, self._plan.running_s))
        await daemon.kill()
        after_s = time.monotonic() - began
        is_open = await self._is_open()
        records = self._follower.judge.records
        self.kills.append(Kill(after_s, records, is_open, records < self._plan.events))

    async def _is_open(self) -> bool:
        """Whether a transaction is open on the audit topic, as any client can tell."""
        ends = await asyncio.to_thread(ends_with, self._admin, self._topic)
        return ends.committed < ends.written


async def _runs_for(daemon: DaemonProcess, duration_s: float) -> None:
    """Let a worker run; fail if it ends by itself."""
    ended = asyncio.ensure_future(daemon.ended(within_s=3600))
    try:
        done, _ = await asyncio.wait({ended}, timeout=duration_s)
    finally:
        ended.cancel()
    assert not done, f"it ended by itself: {daemon.text[-3000:]}"
