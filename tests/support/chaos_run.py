"""Workers and brokers under a plan of faults, while an independent consumer reads on.

Judged by that consumer, which reads `read_committed` during the faults and is told of none, and by
the sandbox's ledger; never by a worker's own word.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from tests.support.audit_follower import AuditFollower, ends_of
from tests.support.chaos_plan import SESSION_TIMEOUT_S, ChaosPlan, Fault, Kind
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from tests.support.judge import Message

SHARDS: Final = 12

STOP_S: Final = 40.0
"""From SIGTERM to the end: 20 s are promised, on a machine that does nothing else."""

CLEAN: Final = 0
DISORDERLY: Final = 1


class Brokers(Protocol):
    """The brokers of a run."""

    @property
    def servers(self) -> str:
        """What clients are given."""

    async def kill_one(self, target: float, lasts_s: float) -> None:
        """Kill one of them, wait, and start it again."""


@dataclass(slots=True)
class ChaosReport:
    """What happened, for the test to judge and for a file.

    Attributes:
        faults: How many of each kind.
        disorderly: Graceful stops that were none: a worker then ends with 1.
        ended: Workers that ended without having been told to, with their last words.
        longest_pause_s: Without any record, of all environments together.
        hanging: Topics that a transaction was left open in.
        flaws: What the judge found.
    """

    plan: ChaosPlan
    faults: Counter[str] = field(default_factory=Counter)
    disorderly: int = 0
    ended: list[str] = field(default_factory=list)
    records: int = 0
    longest_pause_s: float = 0.0
    hanging: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """Everything that must not be."""
        return [*self.flaws, *self.hanging, *self.ended]

    def told(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "seed": self.plan.seed,
            "seconds": self.plan.duration_s,
            "faults": dict(self.faults),
            "stops that were not orderly": self.disorderly,
            "records": self.records,
            "longest pause, s": round(self.longest_pause_s, 1),
            "findings": self.findings,
        }


async def run_chaos(brokers: Brokers, prefix: str, plan: ChaosPlan) -> ChaosReport:
    """Carry a plan out, mend everything, let the workers finish, and judge."""
    report = ChaosReport(plan)
    audit = f"{prefix}.audit"
    pauses = _Pauses()
    async with (
        SandboxProcess(
            environments=plan.environments,
            events=plan.events,
            rate=plan.rate,
            latency_s=0.1,
            page_cap=100,
        ) as sandbox,
        AuditFollower(brokers.servers, audit, on_record=pauses.note) as follower,
        contextlib.AsyncExitStack() as stack,
    ):
        environ = environ_of(
            sandbox,
            brokers.servers,
            prefix,
            KAFKA__PARTITIONS=str(SHARDS),
            KAFKA__SESSION_TIMEOUT=str(SESSION_TIMEOUT_S),
        )
        workers = [
            await stack.enter_async_context(DaemonProcess(environ)) for _ in range(plan.workers)
        ]
        await follower.until_records(1, within_s=60)
        pauses.begin()
        await _Faults(workers, brokers, report).carry_out(plan.faults())
        await sandbox.settings(rate=0.0, latency_s=0.0, page_cap=1000)
        last = await sandbox.emit_everywhere()
        await follower.until_published(last, within_s=plan.catch_up_s)
        report.longest_pause_s = pauses.longest_s
        # The last fault may just have started one: Python itself would end by the signal.
        await asyncio.gather(*(worker.web_url() for worker in workers))
        for code in await asyncio.gather(*map(_stopped, workers)):
            if code != CLEAN:
                report.ended.append(f"the last stop of a worker ended with {code}")
        for topic in (audit, f"{prefix}.checkpoints", f"{prefix}.dead-letters"):
            ends = await asyncio.to_thread(ends_of, brokers.servers, topic)
            if ends.committed < ends.written:
                report.hanging.append(f"a transaction was left open in {topic}")
        report.flaws = (await follower.findings(await sandbox.ledger())).flaws
        report.records = follower.judge.records
    return report


async def _stopped(worker: DaemonProcess) -> int:
    worker.send(signal.SIGTERM)
    return await worker.ended(within_s=STOP_S)


class _Pauses:
    """The longest time without a record, as a consumer sees it."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._last_at = time.monotonic()

    def begin(self) -> None:
        """Measure from now on."""
        self.longest_s, self._last_at = 0.0, time.monotonic()

    def note(self, _: Message) -> None:
        """Take a record into account; called in the thread that reads."""
        now = time.monotonic()
        self.longest_s = max(self.longest_s, now - self._last_at)
        self._last_at = now


class _Faults:
    """Lets faults happen to workers and brokers."""

    def __init__(self, workers: list[DaemonProcess], brokers: Brokers, report: ChaosReport) -> None:
        self._free = list(workers)
        self._freed = asyncio.Condition()
        self._brokers = brokers
        self._broker_turn = asyncio.Lock()
        self._report = report

    async def carry_out(self, faults: list[Fault]) -> None:
        """Let each happen when it is due, or as soon as there is somebody to hit."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                tasks.create_task(self._carry_out(fault), name=fault.kind.value)

    async def _carry_out(self, fault: Fault) -> None:
        if fault.kind is Kind.KILL_BROKER:
            # One at a time: with two of three gone there is no cluster.
            async with self._broker_turn:
                await self._brokers.kill_one(fault.target, fault.lasts_s)
        else:
            await self._hit_worker(fault)
        self._report.faults[fault.kind.value] += 1

    async def _hit_worker(self, fault: Fault) -> None:
        async with self._freed:
            await self._freed.wait_for(lambda: self._free)
            worker = self._free.pop(int(fault.target * len(self._free)))
        if not worker.is_running:
            self._report.ended.append(f"a worker ended by itself: {worker.text[-1500:]}")
        elif fault.kind is Kind.FREEZE_WORKER:
            worker.send(signal.SIGSTOP)
            await asyncio.sleep(fault.lasts_s)
            worker.send(signal.SIGCONT)
        elif fault.kind is Kind.STOP_WORKER:
            await self._stop(worker)
        else:
            await worker.kill()
        if not worker.is_running:
            await asyncio.sleep(fault.lasts_s)
            await worker.start()
        async with self._freed:
            self._free.append(worker)
            self._freed.notify()

    async def _stop(self, worker: DaemonProcess) -> None:
        try:
            code = await _stopped(worker)
        except AssertionError as error:
            self._report.ended.append(str(error)[-1500:])
            await worker.kill()
            return
        self._report.disorderly += code == DISORDERLY
        # Python itself ends by the signal, before it has come to what handles it.
        just_started = code == -signal.SIGTERM and not worker.lines
        if code not in {CLEAN, DISORDERLY} and not just_started:
            self._report.ended.append(f"a stop ended with {code}: {worker.text[-1500:]}")


def written(reports: list[ChaosReport]) -> str:
    """The text of a report's file."""
    return json.dumps([report.told() for report in reports], indent=2) + "\n"
