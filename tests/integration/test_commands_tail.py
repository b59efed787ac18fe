"""`streamer tail` against a real topic: which records, in which order, as which bytes."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from streamer.audit.checkpoint import EnvironmentName, encode
from streamer.commands.selection import Selection
from streamer.commands.tail_filter import Filter
from streamer.kafka.client import Connection
from streamer.kafka.partitions import partition_of
from streamer.kafka.reader import LogReader
from streamer.kafka.topics import ensure
from streamer.kafka.transaction import Outgoing
from tests.support.audit_records import CHECKPOINT
from tests.support.kafka_parts import commit, kafka_settings, started
from tests.support.streamer_command import finish, kafka_variables, start, streamer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.broker.local import LocalBroker

PARTITIONS = 3
ENVIRONMENTS = ("us_env_a", "us_env_b", "us_env_c", "us_env_d")


def record(environment: str, sequence: int, **members: Any) -> bytes:  # noqa: ANN401 - JSON
    """A record of an environment, as far as `tail` looks at it."""
    return json.dumps(
        {
            "schema": "flatfile.audit/1",
            "id": f"{environment}-{sequence}",
            "sequence": sequence,
            "time": f"2026-01-24T10:{sequence:02}:00.000Z",
            "action": "workbook:updated",
            "operation": "update",
            "actor": {"type": "user", "id": "us_usr_1", "name": "Ada Park"},
            "target": {"type": "workbook", "id": "us_wb_1", "name": f"{environment}-{sequence}"},
            "environment": {"id": environment, "name": f"name of {environment}"},
            **members,
        }
    ).encode()


class Topic:
    """An audit topic that tests write to, in transactions."""

    def __init__(self, broker: LocalBroker, prefix: str) -> None:
        self.kafka = kafka_settings(broker.bootstrap_servers, prefix, partitions=PARTITIONS)
        self.connection = Connection(self.kafka)
        self.settings = kafka_variables(broker, prefix)

    async def publish(
        self, environment: str, values: Sequence[bytes], *, topic: str | None = None
    ) -> None:
        """Commit records of one environment in one transaction."""
        partition = partition_of(environment, PARTITIONS)
        topic = topic or self.kafka.audit_topic
        async with started(
            self.connection, f"{topic}.{environment}", partition=partition
        ) as producer:
            messages = [Outgoing(environment.encode(), value) for value in values]
            await commit(producer, {topic: messages})


@pytest.fixture
async def topic(broker: LocalBroker, prefix: str) -> Topic:
    """A topic in which the environments took turns: 10 records of each, 4 transactions."""
    made = Topic(broker, prefix)
    await ensure(made.connection, made.kafka)
    for first in (1, 6):
        for environment in ENVIRONMENTS:
            values = [record(environment, each) for each in range(first, first + 5)]
            await made.publish(environment, values)
    return made


async def _targets(topic: Topic, *arguments: str) -> list[str]:
    """The targets of the records that are shown, in this order."""
    result = await streamer("tail", *arguments, settings=topic.settings)
    assert result.code == 0, result.everything
    return [line.rsplit(" ", 1)[1] for line in result.lines]


def _in_turns(count: int) -> list[str]:
    everything = [
        f"{environment}-{each}"
        for first in (1, 6)
        for environment in ENVIRONMENTS
        for each in range(first, first + 5)
    ]
    return everything[-count:]


async def test_the_last_records_come_in_the_order_of_appending(topic: Topic) -> None:
    """Without options it is the last 20 over all partitions; --last chooses another number."""
    assert await _targets(topic) == _in_turns(20)
    assert await _targets(topic, "--last", "7") == _in_turns(7)
    assert await _targets(topic, "--last", "1000") == _in_turns(40)


async def test_the_last_that_match_are_found_however_far_back(topic: Topic) -> None:
    """A filter is applied before counting: the newest matching records are found behind others."""
    for environment in ENVIRONMENTS[1:]:
        await topic.publish(environment, [record(environment, 59)] * 400)
    assert await _targets(topic, "--environment", "us_env_a", "--last", "2") == [
        "us_env_a-9",
        "us_env_a-10",
    ]
    assert await _targets(topic, "--environment", "NAME of us_env_b", "--last", "1") == [
        "us_env_b-59"
    ]
    assert await _targets(topic, "--action", "*:deleted") == []
    assert len(await _targets(topic, "--since", "2026-01-24T10:10:00Z")) == 1204


async def test_times_and_sequences_bound_what_is_shown(topic: Topic) -> None:
    """--since includes its instant, --until does not, --from-sequence counts per environment."""
    since, until = "2026-01-24T10:09:00Z", "2026-01-24T10:10:00Z"
    assert await _targets(topic, "--since", since, "--until", until) == [
        f"{environment}-9" for environment in ENVIRONMENTS
    ]
    assert await _targets(topic, "--from-sequence", "10", "--last", "2") == [
        "us_env_c-10",
        "us_env_d-10",
    ]
    assert await _targets(topic, "--from-sequence", "10", "--environment", "us_env_b") == [
        "us_env_b-10"
    ]


async def test_windows_of_time_give_every_record_once_and_in_order(topic: Topic) -> None:
    """Walked in the smallest windows a topic has the same records in the same order."""
    async with LogReader(topic.connection) as reader:
        selection = Selection(reader, topic.kafka.audit_topic, Filter(), window_messages=1)
        spans = await selection.spans(range(PARTITIONS))
        batches = [batch async for batch in selection.all(spans)]
    found = [each for batch in batches for each in batch]
    assert [each.record["id"] for each in found if each.record] == _in_turns(40)
    assert len([batch for batch in batches if batch]) > 1


async def test_order_by_time_is_that_of_the_events(topic: Topic) -> None:
    """A late event stands last in the log, and in its place with --by-time."""
    await topic.publish("us_env_a", [record("us_env_a", 11, time="2026-01-24T09:00:00Z")])
    options = ("--environment", "us_env_a", "--since", "2025-01-01T00:00:00Z")
    assert (await _targets(topic, *options))[-1] == "us_env_a-11"
    assert (await _targets(topic, *options, "--by-time"))[0] == "us_env_a-11"


async def test_json_prints_the_bytes_of_the_topic(topic: Topic) -> None:
    """With --json each record is there byte for byte, whatever stands in it."""
    odd = record("us_env_a", 11).replace(b"Ada Park", rb"\ud800[red]").replace(b": ", b":  ")
    await topic.publish("us_env_a", [odd])
    process = await start("tail", "--json", "--last", "1", settings=topic.settings)
    out, _ = await process.communicate()
    assert out == odd + b"\n"


async def test_hostile_names_stay_on_their_line(topic: Topic) -> None:
    """Names with escapes, line breaks and markup are shown, one record a line."""
    name = "Ada\n\x1b[2J[bold]\u202e"
    await topic.publish("us_env_a", [record("us_env_a", 11, actor={"type": "user", "name": name})])
    result = await streamer("tail", "--last", "1", settings=topic.settings)
    assert len(result.lines) == 1
    assert "Ada\\x0a\\x1b[2J[bold]\\u202e updated" in result.out
    assert "\x1b" not in result.out


async def test_follow_goes_on_until_interrupted(topic: Topic) -> None:
    """What is committed later appears by itself, others are left out; Ctrl-C is quiet."""
    process = await start(
        "tail", "--follow", "--last", "1", "--environment", "us_env_a", settings=topic.settings
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert b"us_env_a-10" in await process.stdout.readline()
            await topic.publish("us_env_b", [record("us_env_b", 11)])
            await topic.publish("us_env_a", [record("us_env_a", 11)])
            assert b"us_env_a-11" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        result = await finish(process)
    finally:
        if process.returncode is None:
            process.kill()
    assert (result.code, result.everything) == (130, "")


async def test_what_was_aborted_is_not_shown(topic: Topic) -> None:
    """Records of a transaction that never committed do not appear, nor hold anything up."""
    kafka, connection = topic.kafka, topic.connection
    partition = partition_of("us_env_a", PARTITIONS)
    transactional_id = f"{kafka.audit_topic}.aborted"
    message = Outgoing(b"us_env_a", record("us_env_a", 11))

    def refuse(_: object) -> dict[str, list[Outgoing]]:
        raise LookupError

    async with started(connection, transactional_id, partition=partition) as producer:
        with pytest.raises(LookupError):
            await producer.commit({kafka.audit_topic: [message]}, last=refuse)
    async with started(connection, transactional_id, partition=partition):
        pass  # starting again ends what was open
    assert (await _targets(topic, "--environment", "us_env_a"))[-1] == "us_env_a-10"


async def test_a_topic_that_is_not_there_is_one_sentence(broker: LocalBroker, prefix: str) -> None:
    """A wrong prefix is answered with what to check, and exit code 4."""
    settings = Topic(broker, prefix).settings
    result = await streamer("tail", settings=settings)
    assert result.code == 4
    assert result.err == (
        f"streamer: topic {prefix}.audit: it does not exist. "
        "Check STREAMER_KAFKA__TOPIC_PREFIX and that `streamer run` has run.\n"
    )


async def test_an_environment_that_is_not_there_is_answered_with_those_that_are(
    topic: Topic,
) -> None:
    """A name that nobody has is said to be that; nothing is said of one that somebody has."""
    for environment in ENVIRONMENTS:
        named = EnvironmentName(environment, f"name of {environment}")
        checkpoint = encode(msgspec.structs.replace(CHECKPOINT, environment=named))
        await topic.publish(environment, [checkpoint], topic=topic.kafka.checkpoint_topic)
    unknown = await streamer("tail", "--environment", "us_env_x", settings=topic.settings)
    assert (unknown.code, unknown.out) == (0, "")
    assert unknown.err == (
        "streamer: no record matches: no environment has that id or name; there are "
        "name of us_env_a, name of us_env_b, name of us_env_c, name of us_env_d.\n"
    )
    options = ("--environment", "us_env_a", "--action", "*:deleted")
    known = await streamer("tail", *options, settings=topic.settings)
    assert known.err == "streamer: no record matches.\n"


async def test_the_last_none_are_refused_unless_something_follows() -> None:
    """`--last 0` alone can show nothing: said before anything is connected."""
    result = await streamer("tail", "--last", "0")
    assert result.code == 2
    assert result.err.startswith("streamer: --last: the last 0 records are none. Give 1 or more")


async def test_options_that_contradict_each_other_are_refused() -> None:
    """--follow has no end and no other order: said before anything is connected."""
    for option in (["--until", "1h"], ["--by-time"]):
        result = await streamer("tail", "--follow", *option)
        assert result.code == 2
        assert result.err.startswith("streamer: --follow: ")
