"""How much faster two workers publish a backlog than one, and what every process takes for it.

The installed `streamer run`, default settings, a real broker, eight environments in eight shards of
which each of two workers gets four. Counted from the moment that the workers have their shards and
are ready, by the sequence numbers that they report, until all is published. Broker and sandbox need
the same cores as the workers: the CPU of each is printed, so that one sees what bounds the rest.

Run it on a quiet machine, from the repository root:

    .venv/bin/python -m tests.bench.two_workers
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from streamer.broker.local import LocalBroker
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

PROMISED: Final = 1.6

EVENT_BYTES: Final = 1100
ENVIRONMENTS: Final = 8
SHARDS: Final = 12

LASTING: Final = {"_JAVA_OPTIONS": "-XX:TieredStopAtLevel=4 -Xmx1g"}
"""A broker as it runs for long. The local one is made to start at once, by a compiler whose code
takes more of the cores that the workers need."""

SEED: Final = 25
"""Its eight environments fall to the shards 4 to 11: four even ones and four odd ones. Of two
workers one gets the even shards and the other the odd ones."""

POLL_S: Final = 0.1
WITHIN_S: Final = 600.0
_SEQUENCE: Final = re.compile(r"^streamer_sequence\{.*\} ([0-9.e+]+)$", re.MULTILINE)


class Run(NamedTuple):
    """What one run took.

    Attributes:
        records: How many were published in that time.
        cpu_s: Of each process, by its name.
        environments: How many each worker had.
    """

    records: int
    wall_s: float
    cpu_s: Mapping[str, float]
    environments: Sequence[int]

    @property
    def per_s(self) -> float:
        """Records a second."""
        return self.records / self.wall_s

    def told(self) -> str:
        """Two lines for people."""
        cpu = ", ".join(f"{name} {spent:.1f}" for name, spent in self.cpu_s.items())
        cores_s = (os.cpu_count() or 1) * self.wall_s
        return (
            f"{len(self.environments)} with {self.environments} environments: "
            f"{self.per_s:,.0f} events/s, {self.records:,} in {self.wall_s:.1f} s\n"
            f"    CPU {sum(self.cpu_s.values()):.1f} of {cores_s:.1f} s: {cpu}\n"
        )


class Workers:
    """Some workers of one group, and what they say they have published."""

    def __init__(self, session: aiohttp.ClientSession, daemons: Sequence[DaemonProcess]) -> None:
        self._session = session
        self._daemons = daemons
        self._urls: list[str] = []

    async def settle(self) -> None:
        """Wait until each has its shards, and all of them are running."""
        shards = SHARDS // len(self._daemons)
        await asyncio.gather(*(one.until_shards(shards) for one in self._daemons))
        self._urls = [await one.web_url() for one in self._daemons]

    async def sequences(self) -> list[list[int]]:
        """The last sequence of each environment of each worker."""
        return [await self._sequences(url) for url in self._urls]

    async def records(self) -> int:
        """How many have been published of all environments."""
        return sum(map(sum, await self.sequences()))

    async def _sequences(self, url: str) -> list[int]:
        async with self._session.get(f"{url}/metrics") as response:
            return [round(float(one)) for one in _SEQUENCE.findall(await response.text())]


async def measure(
    sandbox: SandboxProcess, broker: LocalBroker, prefix: str, count: int, events: int
) -> Run:
    """Publish the backlog with so many workers, and check that all of it is there once."""
    environ = environ_of(sandbox, broker.bootstrap_servers, prefix, KAFKA__PARTITIONS=str(SHARDS))
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        daemons = [await stack.enter_async_context(DaemonProcess(environ)) for _ in range(count)]
        workers = Workers(session, daemons)
        await workers.settle()
        assert broker.pid is not None
        pids = {f"worker {number}": one.pid for number, one in enumerate(daemons, 1)}
        pids |= {"broker": broker.pid, "sandbox": sandbox.pid, "this": os.getpid()}
        cpu_before = _cpu_s(pids)
        before, began = await workers.records(), time.monotonic()
        async with asyncio.timeout(WITHIN_S):
            while await workers.records() < events:  # noqa: ASYNC110 - other processes
                await asyncio.sleep(POLL_S)
        wall_s = time.monotonic() - began
        cpu_s = {name: spent - cpu_before[name] for name, spent in _cpu_s(pids).items()}
        shares = await workers.sequences()
        assert sum(map(sum, shares)) == events, f"not each event once: {shares}"
        for code in await asyncio.gather(*(one.stop() for one in daemons)):
            assert code == 0
    return Run(events - before, wall_s, cpu_s, [len(one) for one in shares])


def _cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Seconds so far of each process, and of all others of this machine."""
    spent = {name: _seconds(_after_name(pid)[11:13]) for name, pid in pids.items()}
    user, nice, system, _, _, hard, soft = Path("/proc/stat").read_text().split()[1:8]
    busy = _seconds([user, nice, system, hard, soft])
    return {**spent, "others": busy - sum(spent.values())}


def _after_name(pid: int) -> list[str]:
    """Fields of a process; its name may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _seconds(ticks: Iterable[str]) -> float:
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def main(events: int, rounds: int) -> int:
    """Measure one worker and two in turns, and hold the best of each against each other."""
    runs: list[Run] = []
    sandbox = SandboxProcess(
        seed=SEED,
        environments=ENVIRONMENTS,
        equal_shares=True,
        events=events,
        event_bytes=EVENT_BYTES,
        pre_encode=True,
    )
    with tempfile.TemporaryDirectory(prefix="streamer-bench-") as folder:
        async with LocalBroker(Path(folder), environment=LASTING) as broker, sandbox:
            for number in range(rounds):
                for count in (1, 2):
                    run = await measure(sandbox, broker, f"bench{number}.{count}", count, events)
                    sys.stdout.write(run.told())
                    runs.append(run)
    one, two = (max(run.per_s for run in runs[which::2]) for which in (0, 1))
    ratio = two / one
    sys.stdout.write(
        f"one worker {one:,.0f}, two {two:,.0f} events/s: {ratio:.2f} times as fast "
        f"(promised: {PROMISED})\n"
    )
    return 0 if ratio >= PROMISED else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.events, options.rounds)))
