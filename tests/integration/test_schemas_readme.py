"""The readers that schemas/README.md shows read what `streamer run` has published."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from msgspec import Raw

from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read
from streamer.flatfile.models import Environment, Event
from streamer.kafka.partitions import partition_of
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import make_topic
from tests.support.readers import PAGE, example, lines_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

CHAIN_CHECK = PAGE.with_name("verify_chain.py")
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
    """It tells how far each chain holds, also one without a beginning, and where one is broken."""
    good = await _check(published)
    assert good.returncode == 0, good.stderr
    said = r"^(\S+): holds up to record (\d+), head [0-9a-f]{64}$"
    held = dict(re.findall(said, good.stdout, re.MULTILINE))
    assert sum(map(int, held.values())) == published.records

    environment, count = max(held.items(), key=lambda one: int(one[1]))
    await _delete_the_first(published, partition_of(environment, 4))
    short = await _check(published)
    assert short.returncode == 0, short.stderr
    assert short.stdout == good.stdout

    sealed = {"schema": "flatfile.audit/1", "id": "us_evt_1", "revision": 1}
    sealed |= {"sequence": int(count) + 1, "time": "2026-11-23T20:00:01.000Z"}
    sealed |= {"integrity": {"previous": "0" * 64, "hash": "0" * 64}}
    async with AIOKafkaProducer(bootstrap_servers=published.servers) as producer:
        forged = json.dumps(sealed, separators=(",", ":")).encode()
        await producer.send_and_wait(published.topic, forged, environment.encode())
    bad = await _check(published)
    assert bad.returncode == 1
    assert re.fullmatch(rf"{environment}: broken at offset \d+, behind {count}\n", bad.stderr)


async def test_the_chain_check_reads_records_that_no_json_decoder_follows(
    broker: LocalBroker, prefix: str
) -> None:
    """Whoever can make an event can nest it deeply; what is no record at all is told, too."""
    topic = await make_topic(broker.bootstrap_servers, f"{prefix}.deep")
    payload = Raw(b"[" * 10_000 + b"]" * 10_000)
    event = Event(
        id="us_evt_1", topic="job:ready", created_at="2026-11-23T20:00:01.000Z", payload=payload
    )
    encoder = Encoder(Environment(id="us_env_1", name="deep"), None, max_record_bytes=1_000_000)
    (sealed,), _ = encoder.encode([read(event)], {}, event.created_at, genesis("us_env_1"))
    published = Published(broker.bootstrap_servers, topic, 1)
    async with AIOKafkaProducer(bootstrap_servers=published.servers) as producer:
        await producer.send_and_wait(topic, sealed.value, b"us_env_1")
        good = await _check(published)
        assert good.stdout.startswith("us_env_1: holds up to record 1, "), good.stderr
        await producer.send_and_wait(topic, b"[]", b"us_env_1")
        bad = await _check(published)
    assert (bad.returncode, bad.stderr) == (1, "us_env_1: broken at offset 1, behind 1\n")


def test_the_chain_check_is_shown_as_it_is_and_imports_nothing_of_ours() -> None:
    """It is evidence only as long as it shares no line with what it checks."""
    program = CHAIN_CHECK.read_text()
    assert f"```python verify_chain.py\n{program}```" in PAGE.read_text()
    imported = re.findall(r"^(?:import|from) (\S+)", program, re.MULTILINE)
    assert imported == ["re", "sys", "hashlib", "confluent_kafka"]


def test_the_page_begins_with_the_isolation_level() -> None:
    """Whoever reads one line reads that one, and every example sets it."""
    text = PAGE.read_text()
    assert text.split("\n\n")[1].startswith("**Read with `isolation.level=read_committed`.**")
    for heading in (
        *("python aiokafka", "python confluent-kafka", "java", "sh kcat", "go"),
        "python verify_chain.py",
    ):
        shown = example(heading, "", "")
        assert "read_committed" in shown or "ReadCommitted" in shown


async def _delete_the_first(published: Published, partition: int) -> None:
    """As retention would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=published.servers)
    await admin.start()
    try:
        where = TopicPartition(published.topic, partition)
        await admin.delete_records({where: RecordsToDelete(before_offset=3)})
    finally:
        await admin.close()


async def _check(published: Published) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        lambda: subprocess.run(  # noqa: S603 - the program of the page
            [sys.executable, CHAIN_CHECK, published.servers, published.topic],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    )
