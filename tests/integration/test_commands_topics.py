"""`streamer topics`: what is created, what is judged, and what it exits with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.kafka_parts import make_topic
from tests.support.streamer_command import kafka_variables, streamer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.broker.local import LocalBroker


@pytest.fixture
def settings(broker: LocalBroker, prefix: str) -> dict[str, str]:
    """Variables for a deployment of the test's own."""
    return kafka_variables(broker, prefix) | {"STREAMER_KAFKA__PARTITIONS": "3"}


async def test_topics_that_were_created_pass_the_check(settings: Mapping[str, str]) -> None:
    """Missing topics fail the check, are created once, and pass it from then on."""
    before = await streamer("topics", "check", settings=settings)
    assert before.code == 4
    assert [line.split()[0] for line in before.lines] == ["FAILED"] * 4
    assert "Run `streamer topics create`" in before.out

    created = await streamer("topics", "create", settings=settings)
    assert (created.code, created.err) == (0, "")
    assert [line.split()[0] for line in created.lines] == ["created"] * 4
    assert created.out.count("3 partitions") == 4

    again = await streamer("topics", "create", settings=settings)
    assert [line.split()[0] for line in again.lines] == ["exists"] * 4

    after = await streamer("topics", "check", settings=settings)
    assert (after.code, after.err) == (0, "")
    assert [line.split()[0] for line in after.lines] == ["ok"] * 4


async def test_a_finite_retention_is_a_warning_that_says_what_it_deletes(
    settings: Mapping[str, str],
) -> None:
    """A retention of 7 days passes, with a line on what it will delete and how to keep it."""
    short = {**settings, "STREAMER_KAFKA__RETENTION_DAYS": "7"}
    await streamer("topics", "create", settings=short)
    result = await streamer("topics", "check", settings=short)
    assert result.code == 0
    warnings = [line for line in result.lines if line.startswith("warning")]
    assert len(warnings) == 2
    assert "deletes what was published more than 7 days ago" in warnings[0]


async def test_records_that_would_expire_by_their_own_dates_are_named(
    settings: Mapping[str, str], broker: LocalBroker, prefix: str
) -> None:
    """With CreateTime a finite retention is said to go by the records' own dates."""
    servers = broker.bootstrap_servers
    old = {"retention_ms": str(36 * 3_600_000), "message_timestamp_type": "CreateTime"}
    await make_topic(servers, f"{prefix}.audit", 3, cleanup_policy="delete", **old)
    await streamer("topics", "create", settings=settings)
    result = await streamer("topics", "check", settings=settings)
    assert result.code == 0
    assert "dated more than 1.5 days ago" in result.out


async def test_a_compacted_audit_topic_is_refused(
    settings: Mapping[str, str], broker: LocalBroker, prefix: str
) -> None:
    """A policy that would eat the log is refused by check and create, with what to do."""
    await make_topic(broker.bootstrap_servers, f"{prefix}.audit", 3, cleanup_policy="compact")
    created = await streamer("topics", "create", settings=settings)
    checked = await streamer("topics", "check", settings=settings)
    for result in (created, checked):
        assert result.code == 4
        assert "cleanup.policy is compact, and must be exactly delete" in result.everything
        assert "Traceback" not in result.everything
    assert created.err.count("\n") == 1


async def test_unequal_partition_counts_are_refused(
    settings: Mapping[str, str], broker: LocalBroker, prefix: str
) -> None:
    """Topics that cannot share shards are refused, each count named."""
    servers = broker.bootstrap_servers
    await make_topic(servers, f"{prefix}.audit", 3, cleanup_policy="delete")
    await make_topic(servers, f"{prefix}.checkpoints", 2, cleanup_policy="compact")
    await make_topic(servers, f"{prefix}.dead-letters", 3, cleanup_policy="delete")
    result = await streamer("topics", "check", settings=settings)
    assert result.code == 4
    assert f"{prefix}.checkpoints has 2" in result.out
    assert f"{prefix}.audit has 3" in result.out


@pytest.mark.parametrize(
    ("arguments", "servers", "code", "sentence"),
    [
        (["topics", "check"], "", 2, "STREAMER_KAFKA__BOOTSTRAP_SERVERS: it is not set"),
        (["tail"], "", 2, "STREAMER_KAFKA__BOOTSTRAP_SERVERS: it is not set"),
        (["topics", "check"], "127.0.0.1:1", 4, "Kafka at 127.0.0.1:1: connecting failed"),
        (["topics", "create"], "127.0.0.1:1", 4, "Kafka at 127.0.0.1:1: connecting failed"),
        (["tail"], "127.0.0.1:1", 4, "Kafka at 127.0.0.1:1: starting a reader failed"),
    ],
)
async def test_without_a_broker_there_is_one_sentence(
    arguments: list[str], servers: str, code: int, sentence: str
) -> None:
    """No broker, or none named: one line on standard error that says what to do."""
    variables = {"STREAMER_KAFKA__STARTUP_TIMEOUT": "2"}
    if servers:
        variables["STREAMER_KAFKA__BOOTSTRAP_SERVERS"] = servers
    result = await streamer(*arguments, settings=variables)
    assert result.code == code
    assert result.out == ""
    assert result.err.startswith(f"streamer: {sentence}")
    assert result.err.count("\n") == 1
