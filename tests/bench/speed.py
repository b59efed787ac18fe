"""CPU per event and peak memory of the installed `streamer run`, beside the floor.

Both read the same pages from the same sandbox and write to the same broker, one after the other, in
turns; the least of each is compared. Settings, logs, metrics and look-ups are the defaults. The CPU
is the kernel's (`/proc`): from `daemon.started` until every record is committed, so that the start
of the interpreter, which both have, is left out of both.

Run it on a quiet machine, from the repository root:

    .venv/bin/python -m tests.bench.speed --events 100000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.broker.local import LocalBroker
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_BYTES: Final = 1100
PARTITIONS: Final = 12
POLL_S: Final = 0.5
"""Between two looks at the metrics: to write them is not the work that is measured."""
_RECORDS: Final = re.compile(r"^streamer_records_published_total\{.*\} ([0-9.e+]+)$", re.MULTILINE)


class Cost(NamedTuple):
    """What one run took."""

    cpu_us: float
    wall_s: float
    peak_mb: float


async def floor(sandbox: SandboxProcess, broker: LocalBroker, topic: str) -> Cost:
    """Run the floor once."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    names = (topic, f"{topic}.checkpoints")
    await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("floor.py")),
        sandbox.url,
        broker.bootstrap_servers,
        topic,
        str(PARTITIONS),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    result = json.loads(output)
    return Cost(result["cpu_s"] / result["events"] * 1e6, time.monotonic() - began, 0.0)


async def streamer(sandbox: SandboxProcess, broker: LocalBroker, topic: str, events: int) -> Cost:
    """Run the installed daemon once, until it has published everything."""
    environ = {
        **os.environ,
        **sandbox.environ,
        "STREAMER_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "STREAMER_KAFKA__TOPIC_PREFIX": topic,
        "STREAMER_WEB__PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("streamer")),
        "run",
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        web = ""
        async for line in process.stderr:
            entry = json.loads(line)
            if entry["event"] == "daemon.started":
                web = entry["web"]
                break
        cpu_before, began = _cpu_s(process.pid), time.monotonic()
        draining = asyncio.ensure_future(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            while await _published(session, web) < events:  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_S)
        cpu_s, wall_s = _cpu_s(process.pid) - cpu_before, time.monotonic() - began
        peak_mb = _peak_mb(process.pid)
        process.terminate()
        await draining
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Cost(cpu_s / events * 1e6, wall_s, peak_mb)


async def _published(session: aiohttp.ClientSession, web: str) -> float:
    async with session.get(f"{web}/metrics") as response:
        return sum(map(float, _RECORDS.findall(await response.text())))


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(pid: int) -> float:
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return int(status["VmHWM"].split()[0]) / 1024


async def measure(events: int, rounds: int) -> Mapping[str, list[Cost]]:
    """Measure both, in turns."""
    costs: dict[str, list[Cost]] = {"floor": [], "streamer": []}
    sandbox = SandboxProcess(
        events=events, environments=4, event_bytes=EVENT_BYTES, pre_encode=events <= 200_000
    )
    with tempfile.TemporaryDirectory() as folder:
        async with LocalBroker(Path(folder)) as broker, sandbox:
            for number in range(rounds):
                costs["floor"].append(await floor(sandbox, broker, f"floor{number}"))
                costs["streamer"].append(
                    await streamer(sandbox, broker, f"streamer{number}", events)
                )
    return costs


def main() -> None:
    """Measure, and print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    costs = asyncio.run(measure(options.events, options.rounds))
    for name, measured in costs.items():
        for cost in measured:
            sys.stdout.write(
                f"{name:9} {cost.cpu_us:6.2f} us/event  {options.events / cost.wall_s:9,.0f}"
                f" events/s  peak {cost.peak_mb:6.1f} MB\n"
            )
    least = {name: min(cost.cpu_us for cost in measured) for name, measured in costs.items()}
    peak = max(cost.peak_mb for cost in costs["streamer"])
    sys.stdout.write(
        f"{options.events:,} events: floor {least['floor']:.2f} us, streamer"
        f" {least['streamer']:.2f} us, ratio {least['streamer'] / least['floor']:.2f};"
        f" peak memory {peak:.0f} MB\n"
    )


if __name__ == "__main__":
    main()
