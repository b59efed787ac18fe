"""How much faster two workers publish a backlog than one, and what every process takes for it.

The installed `streamer run`, default settings, a real broker, eight environments in eight shards of
which each of two workers gets four. Counted from the moment that the workers have their shards and
are ready, by the sequence numbers that they report, until all is published.

Broker and sandbox need the same cores as the workers, a quarter of what a worker needs: the CPU of
each is printed, so that one sees what bounds the rest. `--warm-up 2` leaves out the rounds in which
Java compiles. `--in-turns` asks whether two workers with a core each get in each other's way: they
are given two cores of half the speed. Each runs for half of the time, in turns of a hundredth of a
second, and so does the one that is alone; the other core is the broker's and the sandbox's.

Run it on a quiet machine, from the repository root:

    .venv/bin/python -m tests.bench.two_workers
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp

from streamer.broker.local import LocalBroker
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

PROMISED: Final = 1.6

EVENT_BYTES: Final = 1100
ENVIRONMENTS: Final = 8
SHARDS: Final = 12

LASTING: Final = {"_JAVA_OPTIONS": "-XX:TieredStopAtLevel=4 -Xmx1g"}
"""A broker as it runs for long. The local one is made to start at once, by a compiler whose code
takes more of the cores that the workers need."""

CORES: Final = 2
"""Of half the speed: as many turns are taken."""

TURN_S: Final = 0.01
"""How long one turn is."""

SEED: Final = 25
"""Its eight environments fall to the shards 4 to 11: four even ones and four odd ones. Of two
workers one gets the even shards and the other the odd ones."""

LOOK_S: Final = (0.05, 2.0)
"""The least and the most seconds between two looks at how far the workers are, which cost them
time: halfway to the end each, as it was foreseen at the last one."""

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


@contextlib.asynccontextmanager
async def in_turns(daemons: Sequence[DaemonProcess]) -> AsyncIterator[None]:
    """Let each process run for its turn only, until the block ends."""
    turns = asyncio.create_task(_take_turns(daemons))
    try:
        yield
    finally:
        turns.cancel()
        await asyncio.wait({turns})
        for one in daemons:
            one.send(signal.SIGCONT)


async def _take_turns(daemons: Sequence[DaemonProcess]) -> None:
    while True:
        for place in range(CORES):
            having = daemons[place : place + 1]
            for one in having:
                one.send(signal.SIGCONT)
            await asyncio.sleep(TURN_S)
            for one in having:
                one.send(signal.SIGSTOP)


class Stage(NamedTuple):
    """What all runs have in common."""

    sandbox: SandboxProcess
    broker: LocalBroker
    events: int
    in_turns: bool


async def measure(stage: Stage, prefix: str, count: int) -> Run:
    """Publish the backlog with so many workers, and check that all of it is there once."""
    sandbox, broker, events, takes_turns = stage
    environ = environ_of(sandbox, broker.bootstrap_servers, prefix, KAFKA__PARTITIONS=str(SHARDS))
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        daemons = [await stack.enter_async_context(DaemonProcess(environ)) for _ in range(count)]
        workers = Workers(session, daemons)
        await workers.settle()
        assert broker.pid is not None
        pids = {f"worker {number}": one.pid for number, one in enumerate(daemons, 1)}
        pids |= {"broker": broker.pid, "sandbox": sandbox.pid, "this": os.getpid()}
        cpu_before = _cpu_s(pids)
        before, began = await workers.records(), time.monotonic()
        turns = in_turns(daemons) if takes_turns else contextlib.nullcontext()
        async with asyncio.timeout(WITHIN_S), turns:
            while (done := await workers.records()) < events:
                needed_s = (time.monotonic() - began) * (events - done) / max(1, done - before)
                await asyncio.sleep(min(max(needed_s / 2, LOOK_S[0]), LOOK_S[1]))
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


async def main(options: argparse.Namespace) -> int:
    """Measure one worker and two in turns, and hold the best of each against each other."""
    runs: list[Run] = []
    sandbox = SandboxProcess(
        seed=SEED,
        environments=ENVIRONMENTS,
        equal_shares=True,
        events=options.events,
        event_bytes=EVENT_BYTES,
        pre_encode=True,
    )
    with tempfile.TemporaryDirectory(prefix="streamer-bench-") as folder:
        async with LocalBroker(Path(folder), environment=LASTING) as broker, sandbox:
            stage = Stage(sandbox, broker, options.events, options.in_turns)
            for number in range(-options.warm_up, options.rounds):
                for count in (1, 2):
                    run = await measure(stage, f"bench{number}.{count}", count)
                    sys.stdout.write(("not counted: " if number < 0 else "") + run.told())
                    runs.append(run)
    counted = runs[2 * options.warm_up :]
    one, two = (max(run.per_s for run in counted[which::2]) for which in (0, 1))
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
    parser.add_argument("--in-turns", action="store_true", help="a worker runs half of the time")
    parser.add_argument("--warm-up", type=int, default=0, help="rounds that are not counted")
    sys.exit(asyncio.run(main(parser.parse_args())))
