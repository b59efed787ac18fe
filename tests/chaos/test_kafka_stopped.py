"""Kafka accepts and does not answer (SIGSTOP) while events arrive: for seconds, or for minutes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamer.broker.local import LocalBroker
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

EVENTS_A_SECOND = 200.0

MEMORY_BYTES = 200 * 1024 * 1024
"""What a worker may take at most."""


@pytest.mark.timeout(300)
async def test_kafka_stopped_for_seconds_costs_no_event_and_little_memory(tmp_path: Path) -> None:
    """While Kafka stands still for 15 s a worker holds what it holds, and publishes all after."""
    assert await _most_bytes_while_stopped(tmp_path, duration_s=15.0) < MEMORY_BYTES


@pytest.mark.chaos
@pytest.mark.timeout(1200)
async def test_kafka_stopped_for_minutes_costs_no_event_and_little_memory(tmp_path: Path) -> None:
    """The same for five minutes: `pytest -m chaos tests/chaos/test_kafka_stopped.py -s`."""
    most_bytes = await _most_bytes_while_stopped(tmp_path, duration_s=300.0)
    print(f"at most {most_bytes / 1024**2:.0f} MB")  # noqa: T201 - the test's second purpose
    assert most_bytes < MEMORY_BYTES


async def _most_bytes_while_stopped(folder: Path, *, duration_s: float) -> int:
    """Stop Kafka for so long; the most memory that the worker took until all was published."""
    async with (
        LocalBroker(folder / "broker") as broker,
        SandboxProcess(environments=12, events=5_000, rate=EVENTS_A_SECOND) as sandbox,
        AuditFollower(broker.bootstrap_servers, "stopped.audit") as follower,
        DaemonProcess(
            environ_of(sandbox, broker.bootstrap_servers, "stopped"), follower=follower
        ) as daemon,
    ):
        await follower.until_records(5_000, within_s=60)
        memory = _Memory(daemon.pid)
        watching = asyncio.create_task(memory.watch())
        try:
            broker.pause()
            # Not for synchronisation: how long it lasts is the fault.
            await asyncio.sleep(duration_s)
            assert (await daemon.get("/healthz"))[0] == 200
            broker.resume()
            await sandbox.settings(rate=0.0)
            await follower.until_published(await sandbox.emit_everywhere(), within_s=120)
        finally:
            watching.cancel()
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert follower.judge.records >= 5_000 + EVENTS_A_SECOND * duration_s / 2
    return memory.most_bytes


class _Memory:
    """What a process takes, looked at over and over."""

    def __init__(self, pid: int) -> None:
        self.most_bytes = 0
        self._status = Path(f"/proc/{pid}/status")

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            lines = self._status.read_text().splitlines()
            (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
            self.most_bytes = max(self.most_bytes, int(resident) * 1024)
            await asyncio.sleep(0.2)
