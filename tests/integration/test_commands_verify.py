"""`streamer verify` against real topics: what holds, what does not, and how it is said."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from streamer.audit.chain import Link, genesis, unseal
from streamer.kafka.transaction import Outgoing
from streamer.proof.findings import Kind
from streamer.proof.reading import verified
from tests.support.damages import DAMAGES, ENVIRONMENT, KEY, ONE_OF_EACH, intact
from tests.support.kafka_parts import commit, started
from tests.support.published import Published, checkpoint_of, events_of, sealed
from tests.support.streamer_command import at_terminal, streamer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.deployment import Deployment

ESCAPES = "\x1b[2J\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}"


@pytest.fixture
async def deployment(deploy: Callable[[int], Awaitable[Deployment]]) -> Deployment:
    """Empty topics of one partition."""
    return await deploy(1)


@pytest.mark.parametrize("damage", ONE_OF_EACH, ids=lambda one: one.__name__)
async def test_damage_in_a_topic_is_found_by_its_kind(
    deployment: Deployment, damage: Callable[[Published], None]
) -> None:
    """Whatever was done to it, by a reader that sees what every reader sees."""
    published = intact()
    damage(published)
    await deployment.publish(published)
    assert await deployment.kinds() == DAMAGES[damage]


async def test_what_holds_is_said_and_counted(deployment: Deployment) -> None:
    """Exit code 0, a line for each environment, and in JSON all that a program wants to know."""
    await deployment.publish(intact())
    await deployment.publish(Published.of("us_env_2", events_of(3)))
    text = await streamer("verify", settings=deployment.settings)
    assert text.code == 0, text.everything
    assert text.lines[0].startswith(
        "us_env_1  records 1 to 9  2026-11-23 20:46Z to 2026-11-23 20:46Z"
    )
    assert text.lines[-1] == (
        f"{deployment.kafka.audit_topic} holds: 12 records in 2 environments, nothing missing, "
        "altered, moved or twice"
    )
    result = await streamer("verify", "--json", settings=deployment.settings)
    assert result.code == 0
    report: dict[str, Any] = json.loads(result.out)
    assert (report["holds"], report["records"], report["findings"]) == (True, 12, [])
    first, second = report["environments"]
    assert first | {"head": "", "partition": 0} == {
        "environment": "us_env_1",
        "partition": 0,
        "records": 9,
        "first_sequence": 1,
        "last_sequence": 9,
        "head": "",
        "first_deleted_by_retention": False,
        "oldest": "2026-11-23T20:46:04.300000Z",
        "newest": "2026-11-23T20:46:04.300000Z",
        "first_observed": "2026-11-23T20:46:05.012Z",
        "last_observed": "2026-11-23T20:46:05.012Z",
    }
    assert second["head"] == unseal(sealed("us_env_2", events_of(3))[-1].value).digest.hex()
    only = await verified(deployment.connection, deployment.kafka, environment="us_env_2")
    assert (only.records, only.findings.described) == (3, [])
    nobody = await streamer("verify", "--environment", "us_env_3", settings=deployment.settings)
    assert nobody.code == 2
    assert "there is no record of us_env_3" in nobody.err


async def test_what_does_not_hold_is_said_with_what_to_do(deployment: Deployment) -> None:
    """Exit code 5; each finding with its place, each kind with its meaning."""
    published = intact()
    del published.records[1:3]
    await deployment.publish(published)
    text = await streamer("verify", settings=deployment.settings)
    assert text.code == 5, text.everything
    assert "gap          us_env_1  " in text.out
    assert "sequence 2 to 3 is missing before it" in text.out
    assert "gap (1): Numbers are missing" in text.out
    assert "does NOT hold: 7 records in 1 environment, 1 finding" in text.lines[-1]
    result = await streamer("verify", "--json", settings=deployment.settings)
    assert result.code == 5
    report: dict[str, Any] = json.loads(result.out)
    assert (report["holds"], report["counts"]) == (False, {"gap": 1})
    (finding,) = report["findings"]
    assert finding["kind"] == "gap"
    assert (finding["environment"], finding["topic"]) == ("us_env_1", deployment.kafka.audit_topic)
    assert (finding["partition"], finding["offset"]) == (0, 1)


async def test_records_in_the_partition_of_another_key_are_misplaced(
    deploy: Callable[[int], Awaitable[Deployment]],
) -> None:
    """As when the partition count was changed."""
    deployment = await deploy(2)
    published = Published.of(ENVIRONMENT, events_of(2))
    for partition in (0, 1):
        await deployment.publish(published, partition)
    assert await deployment.kinds() == [Kind.MISPLACED] * 3


async def test_what_retention_deleted_is_said_and_is_no_gap(deployment: Deployment) -> None:
    """A log that begins late is told from one in which something is missing."""
    await deployment.publish(Published.of(ENVIRONMENT, events_of(9)))
    admin = AIOKafkaAdminClient(bootstrap_servers=deployment.kafka.bootstrap_servers[0])
    await admin.start()
    try:
        where = TopicPartition(deployment.kafka.audit_topic, 0)
        await admin.delete_records({where: RecordsToDelete(before_offset=4)})
    finally:
        await admin.close()
    result = await streamer("verify", settings=deployment.settings)
    assert result.code == 0, result.everything
    assert "records 5 to 9" in result.lines[0]
    assert "retention, no gap" in result.lines[0]


async def test_a_transaction_that_was_aborted_is_no_finding(deployment: Deployment) -> None:
    """What was never committed is seen by nobody."""
    await deployment.publish(intact())
    async with started(deployment.connection, "x") as writer:
        inner: Any = writer._producer
        await inner.begin_transaction()
        await inner.send_and_wait(deployment.kafka.audit_topic, b"aborted", KEY, 0)
        await inner.abort_transaction()
    assert await deployment.kinds() == []


async def test_a_worker_that_writes_meanwhile_is_no_finding(deployment: Deployment) -> None:
    """Transactions that commit between the looks at records and checkpoints tear nothing."""
    stop = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        link = genesis(ENVIRONMENT)
        audit, checkpoints = deployment.kafka.audit_topic, deployment.kafka.checkpoint_topic
        async with started(deployment.connection, audit) as writer:
            while not stop.is_set():
                made = sealed(ENVIRONMENT, events_of(5, first=written + 1), link)
                link = Link(made[-1].sequence, unseal(made[-1].value).digest)
                records = [Outgoing(KEY, one.value, one.headers) for one in made]
                last = [Outgoing(KEY, checkpoint_of(ENVIRONMENT, link))]
                await commit(writer, {audit: records}, {checkpoints: last})
                written += 5

    writing = asyncio.create_task(write())
    try:
        seen: list[int] = []
        while len(seen) < 8:
            outcome = await verified(deployment.connection, deployment.kafka)
            assert outcome.findings.described == []
            seen.append(outcome.records)
    finally:
        stop.set()
        await writing
    assert 0 < seen[1] < seen[-1] <= written


async def test_nothing_published_and_nothing_there_are_told_apart(
    deployment: Deployment, prefix: str
) -> None:
    """Empty topics hold; missing topics are a matter of Kafka."""
    empty = await streamer("verify", settings=deployment.settings)
    assert empty.code == 0
    assert "0 records in 0 environments" in empty.out
    other = deployment.settings | {"STREAMER_KAFKA__TOPIC_PREFIX": f"{prefix}-none"}
    missing = await streamer("verify", settings=other)
    assert (missing.code, missing.out) == (4, "")
    assert "it does not exist" in missing.err


async def test_at_a_terminal_there_is_a_bar_and_nothing_is_obeyed(deployment: Deployment) -> None:
    """A key that is hostile to a terminal is shown as what it is."""
    published = intact()
    foreign = Published.of(f"us_env_{ESCAPES}", events_of(1))
    published.records += foreign.records
    await deployment.publish(published)
    result = await at_terminal("verify", settings=deployment.settings)
    assert result.code == 5
    assert "Verifying" in result.err
    assert "\\x1b[2J" in result.out
    for harmful in ("\x1b[2J", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"):
        assert harmful not in result.out
