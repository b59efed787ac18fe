"""`streamer verify` with several processes: it finds the same, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from streamer.proof.findings import Kind
from streamer.proof.partitioning import partition_of
from streamer.proof.reading import verified
from tests.support.damages import (
    DAMAGES,
    ENVIRONMENT,
    KEY,
    ONE_OF_EACH,
    intact,
    two_removed,
)
from tests.support.kafka_parts import started
from tests.support.published import Published, events_of
from tests.support.stranger import write_undecodable
from tests.support.streamer_command import finish, start, streamer

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable

    from streamer.broker.local import LocalBroker
    from tests.support.deployment import Deployment

OTHER: Final = "us_env_5"
PARTITIONS: Final = 2
HOME: Final = partition_of(KEY, PARTITIONS)
"""Where the damaged environment is; the other one is in the other partition."""


@pytest.fixture
async def deployment(deploy: Callable[[int], Awaitable[Deployment]]) -> Deployment:
    """Topics of two partitions; in one of them is an environment that keeps its promises."""
    assert partition_of(OTHER.encode(), PARTITIONS) == 1 - HOME
    made = await deploy(PARTITIONS)
    await made.publish(Published.of(OTHER, events_of(3)), 1 - HOME)
    return made


@pytest.mark.parametrize("damage", ONE_OF_EACH, ids=lambda one: one.__name__)
async def test_damage_is_found_by_several_processes_as_by_one(
    deployment: Deployment, damage: Callable[[Published], None]
) -> None:
    """Each kind of finding, by two processes and by one."""
    published = intact()
    damage(published)
    await deployment.publish(published, HOME)
    assert await deployment.kinds(processes=2) == DAMAGES[damage]
    assert await deployment.kinds(processes=1) == DAMAGES[damage]


async def test_several_processes_report_what_one_reports(deployment: Deployment) -> None:
    """Heads, times, findings and counts, and progress up to the whole."""
    published = intact()
    two_removed(published)
    await deployment.publish(published, HOME)
    await deployment.publish(Published.of(ENVIRONMENT, events_of(2)), 1 - HOME)
    reports = []
    for processes in ("1", "2", "64"):
        result = await streamer(
            "verify", "--json", "--processes", processes, settings=deployment.settings
        )
        assert result.code == 5, result.everything
        report: dict[str, Any] = json.loads(result.out)
        for members in ("environments", "findings"):
            report[members].sort(key=str)
        reports.append(report)
    assert reports[0] == reports[1] == reports[2]
    assert reports[0]["counts"] == {Kind.GAP: 1, Kind.MISPLACED: 3}
    told: list[tuple[int, int]] = []
    await verified(
        deployment.connection,
        deployment.kafka,
        processes=2,
        on_progress=lambda done, total: told.append((done, total)),
    )
    total = told[0][1]
    assert total - 4 <= max(told)[0] <= total, "but for the markers at the ends"


async def test_processes_are_counted_from_one(deployment: Deployment) -> None:
    """None at all is no number of processes."""
    result = await streamer("verify", "--processes", "0", settings=deployment.settings)
    assert result.code == 2
    assert "--processes" in result.err


async def test_what_one_process_cannot_read_is_said_once(
    broker: LocalBroker, deployment: Deployment
) -> None:
    """One sentence and the exit code of Kafka's faults, as without processes."""
    await deployment.publish(intact(), HOME)
    await write_undecodable(
        broker.bootstrap_servers, deployment.kafka.audit_topic, partition=1 - HOME
    )
    several = await streamer("verify", "--processes", "2", settings=deployment.settings)
    alone = await streamer("verify", "--processes", "1", settings=deployment.settings)
    assert (several.code, several.out, several.err) == (alone.code, alone.out, alone.err)
    assert several.code == 4
    assert several.err.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)],
)
async def test_whatever_ends_it_ends_its_processes(
    deployment: Deployment, number: signal.Signals, code: int
) -> None:
    """Ctrl-C, a request to stop and a kill, in the middle of reading: no process is left."""
    async with _reading(deployment) as (process, workers):
        os.kill(process.pid, number)
        result = await finish(process)
        assert (result.code, result.everything) == (code, "")
        async with asyncio.timeout(10):
            while any(map(_is_there, workers)):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.02)


async def test_a_process_that_is_killed_is_said(deployment: Deployment) -> None:
    """As where memory runs short; the others are ended, and nothing is called verified."""
    async with _reading(deployment) as (process, workers):
        os.kill(workers[0], signal.SIGKILL)
        result = await finish(process)
    assert (result.code, result.out) == (1, "")
    assert "ended without an answer (exit code -9)" in result.err
    assert not any(map(_is_there, workers))


@asynccontextmanager
async def _reading(deployment: Deployment) -> AsyncIterator[tuple[Process, list[int]]]:
    """A verification in the middle of its work, and the processes that it has started."""
    await deployment.publish(intact(), HOME)
    async with started(deployment.connection, "x", partition=HOME) as writer:
        # Nobody can read past an open transaction: they wait.
        inner: Any = writer._producer
        await inner.begin_transaction()
        await inner.send_and_wait(deployment.kafka.audit_topic, b"open", KEY, HOME)
        process = await start("verify", "--processes", "2", settings=deployment.settings)
        yield process, await _until_workers(process.pid)
        await inner.abort_transaction()


async def _until_workers(pid: int) -> list[int]:
    """The processes beside that of a verification, once there are any."""
    async with asyncio.timeout(30):
        while True:
            if found := [each for each in _children(pid) if b"proof.worker" in _command(each)]:
                return found
            await asyncio.sleep(0.02)


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""
