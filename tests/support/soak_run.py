"""A worker that lives for a while under a steady load, and what it takes, looked at from outside.

Sixty environments, a hundred events a second, tokens that last a minute, a sweep window that is
full after a few minutes: what the worker keeps has its full size by minute 8, and whatever still
grows after that grows without end.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.support.audit_follower import AuditFollower
from tests.support.counted_tasks import TOLD
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

ENVIRONMENTS: Final = 60
SHARDS: Final = 12
EVENTS_A_SECOND: Final = 100.0
TOKEN_S: Final = 60.0
SWEEP_WINDOW_S: Final = 120

SETTLED_S: Final = 480.0
"""From the start: from then on nothing may grow."""

PARTS: Final = 4
"""Of the time from then on. Each is longer than the time between two sweeps, if it is half an hour
in all, so that the median of each has as much of them as the others."""

LEAST_PART_S: Final = 60.0
"""Of a shorter run nothing is said about growth."""

GROWTH: Final = 0.05
"""How much more than in the first part a later one may have."""

SAMPLED_EVERY_S: Final = 2.0


class Sample(NamedTuple):
    """What the worker has at one moment.

    Attributes:
        memory_bytes: Resident.
        tasks: Of asyncio, as the worker counted at most a second before.
    """

    after_s: float
    memory_bytes: int
    tasks: int
    sockets: int
    threads: int


MEASURES: Final = Sample._fields[1:]


@dataclass(slots=True)
class SoakReport:
    """What was seen, for the test to judge and for a file; filled as time goes by.

    Attributes:
        records: How many the independent reader has read.
        flaws: What it found.
    """

    samples: list[Sample] = field(default_factory=list)
    records: int = 0
    flaws: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """Everything that must not be."""
        return [*self.flaws, *grown(self.parts())]

    def parts(self) -> list[dict[str, float]]:
        """The medians of each part, once it has settled; none if it was too short for that."""
        lasted_s = (self.samples[-1].after_s - SETTLED_S) / PARTS if self.samples else 0.0
        if lasted_s < LEAST_PART_S:
            return []
        parts: list[list[Sample]] = [[] for _ in range(PARTS)]
        for sample in self.samples:
            if sample.after_s >= SETTLED_S:
                number = int((sample.after_s - SETTLED_S) / lasted_s)
                parts[min(number, PARTS - 1)].append(sample)
        return [
            {name: float(median(getattr(one, name) for one in part)) for name in MEASURES}
            for part in parts
        ]

    def told(self) -> dict[str, Any]:
        """All of it but the samples, as JSON."""
        return {
            "records": self.records,
            "medians from minute 8 on": self.parts() or "too short to say",
            "most": {
                name: max((getattr(one, name) for one in self.samples), default=0)
                for name in MEASURES
            },
            "last": [one._asdict() for one in self.samples[-1:]],
            "findings": self.findings,
        }

    def written(self) -> str:
        """The text of the report's file: a line for each sample at its end."""
        samples = ",\n    ".join(json.dumps(one) for one in self.samples)
        told = json.dumps(self.told(), indent=2).removesuffix("\n}")
        fields = json.dumps(Sample._fields)
        return f'{told},\n  "samples": [\n    {fields},\n    {samples}\n  ]\n}}\n'


def grown(parts: Sequence[dict[str, float]]) -> list[str]:
    """What is more in a later part than in the first, by more than is allowed."""
    return [
        f"{name}: {later[name]:.0f} after {parts[0][name]:.0f} in the first part"
        for name in MEASURES
        if (later := max(parts, key=lambda part: part[name], default={}))
        and later[name] > parts[0][name] * (1 + GROWTH)
    ]


async def soak(servers: str, prefix: str, report: SoakReport, *, duration_s: float) -> None:
    """Let a worker live for so long, and judge what it has published."""
    async with (
        SandboxProcess(
            environments=ENVIRONMENTS,
            events=100 * ENVIRONMENTS,
            rate=EVENTS_A_SECOND,
            token_lifetime_s=TOKEN_S,
        ) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(
            environ_of(
                *(sandbox, servers, prefix),
                CAPTURE__SWEEP_WINDOW=str(SWEEP_WINDOW_S),
                KAFKA__PARTITIONS=str(SHARDS),
            ),
            program=("-m", "tests.support.counted_tasks"),
            follower=follower,
        ) as daemon,
    ):
        await daemon.web_url()
        await _sample_for(duration_s, daemon, report.samples)
        await sandbox.settings(rate=0.0)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=60)
        report.records = follower.judge.records
        if code := await daemon.stop():
            report.flaws.append(f"it ended with {code}: {daemon.text[-3000:]}")
        report.flaws += (await follower.findings(await sandbox.ledger())).flaws


async def _sample_for(duration_s: float, daemon: DaemonProcess, samples: list[Sample]) -> None:
    began = time.monotonic()
    while (after_s := time.monotonic() - began) < duration_s:
        assert daemon.is_running, f"it ended: {daemon.text[-3000:]}"
        if any(line.startswith(TOLD) for line in daemon.output):
            samples.append(_sample(daemon, round(after_s, 1)))
        await asyncio.sleep(SAMPLED_EVERY_S)


def _sample(daemon: DaemonProcess, after_s: float) -> Sample:
    process = Path(f"/proc/{daemon.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    tasks = next(line for line in reversed(daemon.output) if line.startswith(TOLD))
    return Sample(
        after_s,
        memory_bytes=int(status["VmRSS"].split()[0]) * 1024,
        tasks=int(tasks.removeprefix(TOLD)),
        sockets=_sockets(process),
        threads=int(status["Threads"]),
    )


def _sockets(process: Path) -> int:
    count = 0
    for entry in (process / "fd").iterdir():
        # One may be closed between the list and the look.
        with suppress(FileNotFoundError):
            count += str(entry.readlink()).startswith("socket:")
    return count
