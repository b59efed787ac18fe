"""The readers that schemas/README.md shows read what `streamer run` has published."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.readers import PAGE, example, lines_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

EVENTS = 100

HOSTILE = 'line one\nline two \u2028 "quoted" \\ tab\t é 😀'


class Published(NamedTuple):
    """Where records are, and how many."""

    servers: str
    topic: str
    records: int


@pytest.fixture
async def published(broker: LocalBroker, prefix: str) -> Published:
    """An audit topic with the records of an account, and an aborted transaction behind them."""
    servers, topic = broker.bootstrap_servers, f"{prefix}.audit"
    async with SandboxProcess(events=EVENTS, environments=2) as sandbox:
        environment, *_ = await sandbox.environments()
        await sandbox.emit(environment, "space:updated", event={"payload": {"note": HOSTILE}})
        async with (
            AuditFollower(servers, topic) as follower,
            DaemonProcess(environ_of(sandbox, servers, prefix)) as daemon,
        ):
            await follower.until(lambda: follower.judge.records > EVENTS, within_s=30)
            assert await daemon.stop() == 0
    async with AIOKafkaProducer(
        bootstrap_servers=servers, transactional_id=f"{prefix}-aborted"
    ) as producer:
        await producer.begin_transaction()
        for partition in range(4):
            await producer.send_and_wait(topic, b"never committed", b"aborted", partition)
        await producer.abort_transaction()
    return Published(servers, topic, EVENTS + 1)


def _judge(lines: list[str], published: Published) -> None:
    """Every record is there, whole, once and in order, and nothing else."""
    sequences: dict[str, list[int]] = {}
    notes = []
    for line in lines:
        key, _, value = line.partition(" ")
        record = json.loads(value)
        assert key == record["environment"]["id"]
        sequences.setdefault(key, []).append(record["sequence"])
        notes.append(record.get("payload", {}).get("note"))
    assert sum(map(len, sequences.values())) == published.records
    assert all(found == [*range(1, len(found) + 1)] for found in sequences.values())
    assert HOSTILE in notes


@pytest.mark.parametrize("name", ["aiokafka", "confluent-kafka"])
async def test_the_python_readers_print_every_record(published: Published, name: str) -> None:
    """Each on a line, with its environment before it, and none of what was aborted."""
    program = example(f"python {name}", published.servers, published.topic)
    _judge(await lines_of([sys.executable, "-c", program], published.records), published)


@pytest.mark.tools
async def test_kcat_prints_every_record(published: Published) -> None:
    """The line is run as it is shown."""
    line = example("sh kcat", published.servers, published.topic)
    _judge(await lines_of(["sh", "-c", f"exec {line}"], published.records), published)


async def test_the_chain_check_passes_what_was_published_and_finds_what_was_changed(
    published: Published,
) -> None:
    """It tells how many records each environment has, and where a chain is broken."""
    program = example("python check-chain", published.servers, published.topic)
    good = await asyncio.to_thread(_check, program)
    assert good.returncode == 0, good.stderr
    assert sum(int(line.split()[1]) for line in good.stdout.splitlines()) == published.records

    environment, count, *_ = good.stdout.split()
    sealed = {"sequence": int(count) + 1, "integrity": {"previous": "0" * 64, "hash": "0" * 64}}
    async with AIOKafkaProducer(bootstrap_servers=published.servers) as producer:
        forged = json.dumps(sealed, separators=(",", ":")).encode()
        await producer.send_and_wait(published.topic, forged, environment.encode())
    bad = await asyncio.to_thread(_check, program)
    assert bad.returncode == 1
    assert f"{environment}: broken at record {int(count) + 1}" in bad.stderr


def test_the_chain_check_imports_nothing_of_ours() -> None:
    """It is evidence only as long as it shares no line with what it checks."""
    program = example("python check-chain", "", "")
    imports = [line for line in program.splitlines() if "import" in line]
    assert imports[0] == "import hashlib, json, sys"
    assert imports[1].startswith("from confluent_kafka import ")
    assert len(imports) == 2


def test_the_page_begins_with_the_isolation_level() -> None:
    """Whoever reads one line reads that one, and every example sets it."""
    text = PAGE.read_text()
    assert text.split("\n\n")[1].startswith("**Read with `isolation.level=read_committed`.**")
    for heading in (
        *("python aiokafka", "python confluent-kafka", "java", "sh kcat", "python check-chain"),
        "go",
    ):
        shown = example(heading, "", "")
        assert "read_committed" in shown or "ReadCommitted" in shown


def _check(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the example of the page
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
