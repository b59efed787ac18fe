"""One reading of the API, one kind of trouble, and a worker that is killed once amid its backlog.

What the account shows in the end is listed by the run itself, so that the ledger holds everything
that could be seen, and not only what the worker has asked for.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from streamer.sandbox import hostile
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.judge import Findings

EVENTS: Final = 2_000
RATE: Final = 20.0
PAGE_CAPS: Final = (50, 100, 200)

LATE_MOST_S: Final = 4.0
"""More than the overlap of the fast polls: only a sweep finds these."""

QUICKENED: Final = {
    "CAPTURE__OVERLAP": "2",
    "CAPTURE__SWEEP_WINDOW": "60",
    "CAPTURE__SWEEP_INTERVAL": "2",
    "CAPTURE__IDLE_INTERVAL": "1",
    "KAFKA__PARTITIONS": "2",
    "KAFKA__GROUP_INSTANCE_ID": "only",
}
"""Sweeps happen within the test, and a restart takes the shards back at once."""

COMPLETE_WITHIN_S: Final = 20.0
"""After the last event: several sweeps."""

TOKEN: Final = "pat_judge"  # noqa: S105 - of a double, no secret

_ON_EVENTS: Final = {"faults_on": "/v1/events"}

TROUBLES: Final[dict[str, dict[str, Any]]] = {
    "429 with seconds": {"throttle": 0.1, "retry_after": "seconds"},
    "429 with a date": {"throttle": 0.1, "retry_after": "date"},
    "429 without more": {"throttle": 0.1, "retry_after": "none"},
    "500": {"error_500": 0.15},
    "resets": {"reset": 0.2},
    "half bodies": {"half": 0.2},
    "garbage": {"garbage": 0.1, **_ON_EVENTS},
    "short tokens": {"token_lifetime_s": 3.0},
    "late events": {"late_share": 0.3, "late_most_s": LATE_MOST_S},
    "expiry": {"expire_rate": 20.0},
    "hostile events": {
        "hostile_share": 0.3,
        # What claims to be of 1970 is too late by any window, and is dropped as such; what is
        # 10,000 deep becomes a record that the judge, with Python's own JSON, cannot read.
        "hostile_kinds": [kind for kind in hostile.USUAL if kind not in {"created_1970", "deep"}],
    },
}
"""Options of the sandbox by what they are like."""

_CALM: Final[dict[str, Any]] = {
    "rate": 0.0, "expire_rate": 0.0,
    **dict.fromkeys(("throttle", "error_500", "reset", "half", "garbage"), 0.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How the API is to be read, and what goes wrong.

    Attributes:
        trouble: One of `TROUBLES`.
    """

    order: str
    bound: str
    resolution: str
    trouble: str

    @property
    def name(self) -> str:
        """All of it, for messages."""
        return f"{self.order}, {self.bound}, {self.resolution}, {self.trouble}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of it.

    Attributes:
        records_at_kill: How many records a consumer had read when the worker was killed.
        listed: Ids of everything that could still be seen in the end; empty where it need not be
            known, because nothing expires.
    """

    circumstances: Circumstances
    findings: Findings
    records: int
    records_at_kill: int
    listed: set[str] = field(default_factory=set)

    @property
    def flaws(self) -> list[str]:
        """What is wrong; what expired before the worker could keep it is not."""
        found = self.findings
        lost = found.lost
        if self.circumstances.trouble == "expiry":
            lost = [one for one in lost if one.split()[0].partition("/")[2] in self.listed]
        return [*lost, *found.twice, *found.foreign, *found.gaps, *found.broken]


async def run_through(servers: str, prefix: str, circumstances: Circumstances) -> Verdict:
    """Archive a backlog and live events, with one SIGKILL on the way, and judge the topic."""
    # Of its own for each, and the same in every run.
    place = sum(map(ord, circumstances.name))
    expires = circumstances.trouble == "expiry"
    async with (
        SandboxProcess(
            seed=place,
            events=EVENTS,
            environments=2,
            rate=RATE,
            latency_s=0.02,
            page_cap=PAGE_CAPS[place % len(PAGE_CAPS)],
            tokens=[TOKEN],
            order=circumstances.order,
            since_bound=circumstances.bound,
            since_resolution=circumstances.resolution,
            **TROUBLES[circumstances.trouble],
        ) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
    ):
        environ = environ_of(sandbox, servers, prefix, **QUICKENED)
        async with DaemonProcess(environ) as daemon:
            await follower.until_records(EVENTS // 10, within_s=60)
            await daemon.kill()
        records_at_kill = follower.judge.records
        async with DaemonProcess(environ, follower=follower) as daemon:
            if expires:
                # What is emitted may vanish before anybody has seen it.
                await follower.until_records(EVENTS * 3 // 4, within_s=120)
            else:
                newest = await sandbox.emit_everywhere()
                await follower.until_published(newest, within_s=120)
            await sandbox.settings(**_CALM)
            # Visible after everything else that is late.
            last = await sandbox.emit_everywhere(visible_in_s=LATE_MOST_S)
            await follower.until_published(last, within_s=120)
            listed = await _listed(sandbox, parsed=expires)
            ledger = await sandbox.ledger()
            if not expires:
                await _until_complete(follower, ledger)
            assert await daemon.stop() == 0
        findings = await follower.findings(await sandbox.ledger())
        records = follower.judge.records
    return Verdict(circumstances, findings, records, records_at_kill, listed)


async def _until_complete(follower: AuditFollower, ledger: Iterable[dict[str, Any]]) -> None:
    """Wait for everything that was shown; what does not come is for the judge to name."""
    shown = {(one["environment"], _identity(one)) for one in ledger}
    deadline = time.monotonic() + COMPLETE_WITHIN_S

    def is_complete() -> bool:
        return all(follower.judge.has(*one) for one in shown) or time.monotonic() > deadline

    await follower.until(is_complete, within_s=2 * COMPLETE_WITHIN_S, what="the whole ledger")


def _identity(line: dict[str, Any]) -> str:
    return str(line["id"] or f"sha256:{line['sha256']}")


async def _listed(sandbox: SandboxProcess, *, parsed: bool) -> set[str]:
    """List the whole account, so that all of it is in the ledger, and return the ids."""
    ids: set[str] = set()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        number, empty = 0, False
        while not empty:
            number += 1
            query = {"pageSize": "1000", "pageNumber": str(number), "includeAcknowledged": "true"}
            async with session.get(f"{sandbox.url}/events", params=query) as answer:
                assert answer.status == 200, await answer.text()
                body = await answer.read()
            empty = b'"data":[]' in body.replace(b" ", b"")
            if parsed:
                ids.update(row["id"] for row in json.loads(body)["data"])
    return ids
