"""The real broker that the integration tests share, and brokers of their own for those that kill.

The shared one serves the whole session: a test keeps to topics, groups and transactional ids that
begin with its `prefix`, leaves the broker running, and expects others beside it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from streamer.broker.local import LocalBroker
from streamer.broker.snapshot import make_snapshot
from streamer.kafka.topics import ensure
from tests.support.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

QUICK = {
    "broker.session.timeout.ms": "3000",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "log.cleaner.backoff.ms": "200",
}
"""What Kafka does every few seconds, it does at once: restart, throw out, abort, compact."""


@pytest.fixture(scope="session")
def _quick_starts() -> None:
    """Every broker of the session, and of later sessions, starts in half the time."""
    asyncio.run(make_snapshot())


@pytest.fixture(scope="session")
def broker(_quick_starts: None) -> Iterator[LocalBroker]:
    """The broker of the session, running. Not to be stopped, paused or killed."""
    with tempfile.TemporaryDirectory(prefix="streamer-broker-") as folder:
        local = LocalBroker(Path(folder), properties=QUICK)
        # In a loop of its own: it outlives the loop of every test.
        asyncio.run(local.start())
        try:
            yield local
        finally:
            local.kill()  # its data is thrown away


@pytest.fixture
def prefix() -> str:
    """What the names of a test's topics, groups and transactional ids begin with."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def deploy(broker: LocalBroker, prefix: str) -> Callable[[int], Awaitable[Deployment]]:
    """Creates empty topics with as many partitions as it is told."""

    async def create(partitions: int) -> Deployment:
        deployment = Deployment(broker, prefix, partitions)
        await ensure(deployment.connection, deployment.kafka)
        return deployment

    return create


@pytest.fixture
async def own_broker(_quick_starts: None) -> AsyncIterator[Callable[..., Awaitable[LocalBroker]]]:
    """Starts brokers that belong to the test alone, to be killed, paused and restarted.

    Options are those of `LocalBroker`; without `data` the folder is temporary. Properties are
    added to the quick ones.
    """
    with tempfile.TemporaryDirectory(prefix="streamer-broker-") as folder:
        brokers: list[LocalBroker] = []

        async def start(**options: Any) -> LocalBroker:  # noqa: ANN401 (as LocalBroker's)
            options.setdefault("data", Path(folder) / str(len(brokers)))
            options["properties"] = QUICK | options.get("properties", {})
            local = LocalBroker(**options)
            brokers.append(local)
            await local.start()
            return local

        try:
            yield start
        finally:
            for local in brokers:
                local.kill()


@pytest.fixture
def processes_on() -> Callable[[Path], list[str]]:
    """Tells which running Kafkas name a folder: number and command line, whoever started them."""

    def look(folder: Path) -> list[str]:
        return [line for line in command_lines() if str(folder) in line and " kafka." in line]

    return look


def command_lines() -> Iterator[str]:
    """Number and command line of every process; those that ended meanwhile are left out."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = os.fsdecode(entry.read_bytes()).replace("\0", " ")
            yield f"{entry.parent.name} {command}"
