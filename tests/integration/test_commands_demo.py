"""`streamer demo`: it publishes, proves what it published, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.streamer_command import finish, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streamer.broker.local import LocalBroker

PROVED = re.compile(
    r"proved: ([0-9,]+) records in ([0-9]+) environments, every sequence without a gap, "
    r"every hash right, none there twice, headers, checkpoints and dead letters in agreement"
)

WITHIN_S = 55.0


@pytest.fixture
def settings(broker: LocalBroker, tmp_path: Path) -> dict[str, str]:
    """A temporary folder of the test's own, and settings that a demo must not look at."""
    del broker  # Kafka has been fetched.
    return {
        "TMPDIR": str(tmp_path),
        "STREAMER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "STREAMER_KAFKA__TOPIC_PREFIX": "not-mine",
        "STREAMER_FLATFILE__API_URL": "https://example.com/v1",
        "STREAMER_FLATFILE__TOKEN": "pat_PLANTED",
        "STREAMER_WEB__PORT": "1",
    }


def _left_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_it_ends_by_itself_and_proves_what_it_published(
    settings: dict[str, str], tmp_path: Path, processes_on: Callable[[Path], list[str]]
) -> None:
    """With --seconds it says where it is, shows records, proves them, exits 0, and cleans up."""
    process = await start(
        *("demo", "--seconds", "8", "--events", "300", "--environments", "2", "--rate", "10"),
        settings=settings,
    )
    result = await finish(process, WITHIN_S)
    assert result.code == 0, result.everything
    proved = PROVED.fullmatch(result.lines[-1])
    assert proved is not None
    assert int(proved[1].replace(",", "")) >= 300
    assert proved[2] == "2"
    assert re.search(r"^Kafka: 127\.0\.0\.1:\d+$", result.out, re.MULTILINE)
    assert re.search(r"^Metrics: http://127\.0\.0\.1:\d+/metrics$", result.out, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d  .+ in (production|staging)$", result.out, re.MULTILINE)
    assert "\x1b" not in result.out
    assert "PLANTED" not in result.everything
    assert _left_in(tmp_path) == []
    assert processes_on(tmp_path) == []


async def test_an_interrupt_ends_it_with_the_proof(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C after records were shown is the same as the end of --seconds."""
    process = await start("demo", "--events", "100", settings=settings)
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_S):
        while b" more: " not in await process.stdout.readline():
            assert not process.stdout.at_eof()
    process.send_signal(signal.SIGINT)
    result = await finish(process)
    assert result.code == 0, result.everything
    assert PROVED.fullmatch(result.lines[-1])
    assert _left_in(tmp_path) == []


async def test_an_interrupt_during_the_start_leaves_nothing(
    settings: dict[str, str], tmp_path: Path, processes_on: Callable[[Path], list[str]]
) -> None:
    """Ctrl-C before there is anything to prove is quiet, and nothing goes on running."""
    process = await start("demo", settings=settings)
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_S):
        while b"Starting Apache Kafka" not in await process.stdout.readline():
            assert not process.stdout.at_eof()
    process.send_signal(signal.SIGINT)
    result = await finish(process)
    assert (result.code, result.err) == (130, "")
    assert _left_in(tmp_path) == []
    assert processes_on(tmp_path) == []
