"""What an account of many environments costs, of which few are active: requests, delay, memory.

The installed `streamer run` against the sandbox and a real broker, default settings but for a
short `STALL_AFTER`, so that an environment that is polled too rarely shows. Counted once all have
been read and are polled as seldom as quiet ones are; requests are those of the worker's metrics.

Ends with 1 if it is not as promised. Run it on a quiet machine, from the repository root:

    .venv/bin/python -m tests.bench.environments
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.broker.local import LocalBroker
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from tests.support.judge import Message

STALL_AFTER_S: Final = 60
"""Four times the idle interval."""

PROMISED_REQUESTS_PER_S: Final = 60.0
PROMISED_P99_S: Final = 2.0
PROMISED_MB: Final = 250.0
"""Of 500 environments, 5 of them active."""

EVENTS_A_SECOND: Final = 5.0
_REQUESTS: Final = re.compile(
    r'^streamer_flatfile_requests_total\{operation="(\w+)",outcome="\w+"\} ([0-9.e+]+)$',
    re.MULTILINE,
)


class Scale(NamedTuple):
    """How much is measured.

    Attributes:
        settle_s: From all having been read to the first count.
        measure_s: How long is counted.
    """

    environments: int = 500
    active: int = 5
    settle_s: int = 45
    measure_s: int = 120


class Cost(NamedTuple):
    """What was measured.

    Attributes:
        requests: A second, by operation.
        delays_s: From an event becoming visible to a consumer having it, in order.
        unready: What `/readyz` said whenever it was not 200.
    """

    requests: dict[str, float]
    delays_s: list[float]
    peak_mb: float
    unready: list[str]

    @property
    def requests_per_s(self) -> float:
        """All operations together."""
        return sum(self.requests.values())

    def delay_s(self, percent: int) -> float:
        """The delay that so many percent of the events do not exceed."""
        return self.delays_s[min(len(self.delays_s) - 1, len(self.delays_s) * percent // 100)]

    @property
    def as_promised(self) -> bool:
        """Whether it is within its bounds, and no environment was called stalled."""
        return (
            self.requests_per_s <= PROMISED_REQUESTS_PER_S
            and self.delay_s(99) <= PROMISED_P99_S
            and self.peak_mb < PROMISED_MB
            and not self.unready
        )


async def measure(servers: str, prefix: str, scale: Scale, **settings: str) -> Cost:
    """Run one worker until it knows all environments, and for some seconds more."""
    arrived: dict[str, float] = {}

    def note(message: Message) -> None:
        arrived[dict(message.headers)["ce_id"].decode()] = time.monotonic()

    sandbox = SandboxProcess(
        environments=scale.environments, events=4 * scale.environments, guests=2, spaces=2, agents=1
    )
    async with sandbox, AuditFollower(servers, f"{prefix}.audit", on_record=note) as follower:
        environ = environ_of(sandbox, servers, prefix, **settings)
        async with DaemonProcess(environ, follower=follower) as daemon:
            newest = await sandbox.emit_everywhere()
            await follower.until_published(newest, within_s=300)
            await asyncio.sleep(scale.settle_s)
            chosen = random.Random(7).sample(newest, scale.active)  # noqa: S311 - no secret
            before, began = await _requests(daemon), time.monotonic()
            watching = asyncio.ensure_future(_unready(daemon, scale.measure_s))
            emitted = await _emit(
                sandbox, [environment for environment, _ in chosen], scale.measure_s
            )
            unready = await watching
            after, took_s = await _requests(daemon), time.monotonic() - began
            await follower.until(
                lambda: emitted.keys() <= arrived.keys(), within_s=30, what="all events"
            )
            peak_mb = _peak_mb(daemon.pid)
            assert await daemon.stop() == 0
    delays_s = sorted(arrived[event_id] - moment for event_id, moment in emitted.items())
    requests = {name: (count - before.get(name, 0.0)) / took_s for name, count in after.items()}
    return Cost(requests, delays_s, peak_mb, unready)


async def _emit(sandbox: SandboxProcess, environments: list[str], seconds: int) -> dict[str, float]:
    """Let events happen at random moments, and return when each did."""
    chance = random.Random(11)  # noqa: S311 - no secret
    emitted: dict[str, float] = {}
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        (event_id,) = await sandbox.emit(chance.choice(environments))
        emitted[event_id] = now
        pause_s = chance.expovariate(EVENTS_A_SECOND)
        await asyncio.sleep(max(0.0, now + pause_s - time.monotonic()))
    return emitted


async def _unready(daemon: DaemonProcess, seconds: int) -> list[str]:
    found = []
    for _ in range(seconds):
        status, page = await daemon.get("/readyz")
        if status != 200:
            found.append(str(json.loads(page)["reasons"]))
        await asyncio.sleep(1)
    return found


async def _requests(daemon: DaemonProcess) -> dict[str, float]:
    _, page = await daemon.get("/metrics")
    counts: dict[str, float] = {}
    for operation, count in _REQUESTS.findall(page):
        counts[operation] = counts.get(operation, 0.0) + float(count)
    return counts


def _peak_mb(pid: int) -> float:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return int(status["VmHWM"].split()[0]) / 1024


async def run(scale: Scale) -> Cost:
    """Measure with a broker of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with LocalBroker(Path(folder)) as broker:
            stall_after = str(STALL_AFTER_S)
            servers = broker.bootstrap_servers
            return await measure(servers, "bench", scale, WEB__STALL_AFTER=stall_after)


def main() -> int:
    """Measure, print, and say whether it is as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in Scale._field_defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    scale = Scale(**vars(parser.parse_args()))
    cost = asyncio.run(run(scale))
    by_operation = ", ".join(
        f"{name} {count:.1f}" for name, count in sorted(cost.requests.items()) if count > 0.05
    )
    sys.stdout.write(
        f"{scale.environments} environments, {scale.active} active:"
        f" {cost.requests_per_s:.1f} requests/s ({by_operation});"
        f" freshness p50 {cost.delay_s(50):.2f} s, p99 {cost.delay_s(99):.2f} s;"
        f" peak memory {cost.peak_mb:.0f} MB; not ready {len(cost.unready)} times"
        f" {cost.unready[:1]}\n"
    )
    return 0 if cost.as_promised else 1


if __name__ == "__main__":
    sys.exit(main())
