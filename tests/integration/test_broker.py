"""The local broker: a real Kafka to every client, and one that dies and comes back.

Judged from outside, with two independent clients.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streamer.broker.jars import ensure_kafka
from streamer.broker.java import snapshot_path
from streamer.broker.local import LocalBroker
from streamer.broker.lock import KAFKA_VERSION
from streamer.broker.progress import Progress, Stage
from streamer.broker.ready import names_a_broker
from streamer.errors import BrokerStartError, DataFolderError, PortInUseError

StartBroker = Callable[..., Awaitable[LocalBroker]]


async def make_topic(servers: str, topic: str) -> None:
    """Create a topic of one partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        answer: Any = await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
    assert [error[1] for error in answer.topic_errors] == [0]


async def write_in_transactions(servers: str, topic: str) -> None:
    """Commit the values c0 to c4, abort a0 to a4, commit c5."""
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=topic)
    await producer.start()
    try:
        async with producer.transaction():
            for number in range(5):
                await producer.send_and_wait(topic, b"c%d" % number)
        await producer.begin_transaction()
        for number in range(5):
            await producer.send_and_wait(topic, b"a%d" % number)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"c5")
    finally:
        await producer.stop()


async def read_with_aiokafka(servers: str, topic: str) -> list[bytes | None]:
    """The values that a consumer sees under `read_committed`."""
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


def read_with_confluent(servers: str, topic: str) -> list[bytes | None]:
    """The same through a client that shares no line of code with the other.

    A commit is answered before its markers are written: so it is read on until all is there.
    """
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": topic,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        consumer.assign(
            [confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)]
        )
        values = []
        while (message := consumer.poll(10)) is not None:
            error = message.error()
            if error is None:
                values.append(message.value())
            elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF and len(values) >= len(
                COMMITTED
            ):
                break
        return values
    finally:
        consumer.close()


COMMITTED = [b"c0", b"c1", b"c2", b"c3", b"c4", b"c5"]


async def test_both_clients_see_what_was_committed_and_nothing_else(
    broker: LocalBroker, prefix: str
) -> None:
    """Transactions are those of a real Kafka: aborted records reach no `read_committed` reader."""
    await make_topic(broker.bootstrap_servers, prefix)
    await write_in_transactions(broker.bootstrap_servers, prefix)

    assert await read_with_aiokafka(broker.bootstrap_servers, prefix) == COMMITTED
    assert (
        await asyncio.to_thread(read_with_confluent, broker.bootstrap_servers, prefix) == COMMITTED
    )


async def test_kill_and_restart_keep_port_and_data(own_broker: StartBroker, prefix: str) -> None:
    """What was committed before a `kill -9` is there after it, on the same port."""
    local = await own_broker()
    servers = local.bootstrap_servers
    await make_topic(servers, prefix)
    await write_in_transactions(servers, prefix)
    assert await asyncio.to_thread(read_with_confluent, servers, prefix) == COMMITTED

    local.kill()
    assert not await names_a_broker(local.port)
    await local.start()

    assert local.bootstrap_servers == servers
    assert await asyncio.to_thread(read_with_confluent, servers, prefix) == COMMITTED


async def test_orderly_restart_keeps_port_and_data_and_is_quick(
    own_broker: StartBroker, prefix: str
) -> None:
    """A restart in order waits for no session to end, and is heard of stage by stage."""
    stages: list[Stage] = []
    local = await own_broker(on_progress=lambda progress: stages.append(progress.stage))
    assert stages == [Stage.FORMATTING, Stage.STARTING, Stage.READY]
    servers, first_pid = local.bootstrap_servers, local.pid
    await make_topic(servers, prefix)
    stages.clear()

    began_s = time.monotonic()
    await local.restart()

    # 2 s on two idle cores; a session that must end first takes 3 s more.
    assert time.monotonic() - began_s < 10
    assert stages == [Stage.STARTING, Stage.READY]
    assert local.bootstrap_servers == servers
    assert local.pid != first_pid
    assert await read_with_aiokafka(servers, prefix) == []


async def test_second_broker_on_a_folder_is_refused_at_once(broker: LocalBroker) -> None:
    """Two brokers on one folder would wait for each other without a word: the second is refused."""
    second = LocalBroker(broker.data)
    began_s = time.monotonic()

    with pytest.raises(DataFolderError) as refusal:
        await second.start()

    assert time.monotonic() - began_s < 1
    assert refusal.value.exit_code == 2
    assert str(broker.data) in str(refusal.value)
    assert f"process {os.getpid()}" in str(refusal.value)
    assert "--data" in refusal.value.next_step
    assert await names_a_broker(broker.port)


async def test_taken_port_is_refused_and_the_folder_given_up(
    broker: LocalBroker, own_broker: StartBroker, tmp_path: Path
) -> None:
    """A port in use is named in the refusal, and the folder is free for the next try."""
    with pytest.raises(PortInUseError) as refusal:
        await own_broker(data=tmp_path / "data", port=broker.port)
    assert refusal.value.exit_code == 2
    assert str(broker.port) in str(refusal.value)
    assert "--port" in refusal.value.next_step
    assert not (tmp_path / "data" / "kafka").exists()  # before a second was spent on it

    local = await own_broker(data=tmp_path / "data")

    assert await names_a_broker(local.port)


async def test_paused_broker_does_not_answer_until_it_is_resumed(own_broker: StartBroker) -> None:
    """A pause is a hang: the port stays open and nobody answers, until it goes on."""
    local = await own_broker()

    local.pause()
    assert not await names_a_broker(local.port, timeout_s=0.3)
    local.resume()

    assert await names_a_broker(local.port, timeout_s=5)
    local.pause()
    await local.stop()  # also from a pause


async def test_cancelled_start_leaves_no_process_and_can_be_repeated(
    own_broker: StartBroker, processes_on: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    """Whoever interrupts a start finds nothing running, and the folder as good as before."""
    local = LocalBroker(tmp_path)

    def interrupt(progress: Progress) -> None:
        if progress.stage is Stage.STARTING:
            start.cancel()

    local.on_progress = interrupt
    start = asyncio.create_task(local.start())
    with pytest.raises(asyncio.CancelledError):
        await start

    assert local.pid is None
    assert processes_on(tmp_path) == []
    again = await own_broker(data=tmp_path)
    assert await names_a_broker(again.port)


async def test_interrupted_format_is_begun_anew(
    own_broker: StartBroker, processes_on: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    """A folder whose format was cut off half-way is not taken for a complete one."""
    start = asyncio.create_task(LocalBroker(tmp_path).start())
    async with asyncio.timeout(15):
        while not any(tmp_path.glob("kafka*")):  # noqa: ASYNC110, ASYNC240 (made by Java)
            await asyncio.sleep(0.001)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert processes_on(tmp_path) == []

    again = await own_broker(data=tmp_path)

    assert await names_a_broker(again.port)


async def test_kafka_that_ends_by_itself_is_noticed(own_broker: StartBroker) -> None:
    """A Kafka that nobody stopped and that ends is reported, with the place of its last words."""
    local = await own_broker()
    assert local.pid is not None

    os.kill(local.pid, signal.SIGKILL)
    ended = await local.ended()

    assert isinstance(ended, BrokerStartError)
    assert str(local.output_path) in str(ended)


async def test_property_that_kafka_refuses_is_a_sentence(own_broker: StartBroker) -> None:
    """A Kafka that does not come up is an error that says where its own words are."""
    with pytest.raises(BrokerStartError) as refusal:
        await own_broker(properties={"num.io.threads": "none"})

    assert "ended by itself" in refusal.value.what
    output = Path(refusal.value.next_step.removeprefix("What it said is in "))
    assert "num.io.threads" in await asyncio.to_thread(output.read_text)


async def test_folder_name_beyond_ascii_is_taken_as_it_is(
    own_broker: StartBroker, tmp_path: Path
) -> None:
    """Blanks, letters of any script and what Java's files treat as syntax are fine in a path."""
    folder = tmp_path / "Übung = 試 #1! \\u0041 🐘"

    local = await own_broker(data=folder)

    assert await names_a_broker(local.port)
    assert (folder / "kafka" / "meta.properties").exists()


async def test_snapshot_that_is_damaged_hinders_no_start(
    own_broker: StartBroker, tmp_path: Path
) -> None:
    """The file that makes starts quick may be anything: without a good one they are just slower."""
    cache = tmp_path / "cache"
    folder = cache / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(parents=True)
    jars = await ensure_kafka()
    for jar in jars:
        (folder / jar.name).symlink_to(jar)
    snapshot_path([folder / jar.name for jar in jars]).write_bytes(b"no snapshot")

    local = await own_broker(cache=cache)

    assert await names_a_broker(local.port)
    assert b"AOT cache" in await asyncio.to_thread(local.output_path.read_bytes)
