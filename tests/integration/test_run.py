"""`streamer run` from end to end: all events, names, health, workers that share the work."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import STOP_S, DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

SHARDS = 4

EVENTS = 300
EVENTS_A_SECOND = 20.0
"""Whose freshness is measured, over ten environments."""


async def test_all_events_become_records_with_names(broker: LocalBroker, prefix: str) -> None:
    """Every event of the account is a record with the names of who did it, in an intact chain."""
    records: list[dict[str, Any]] = []

    def keep(message: Message) -> None:
        records.append(json.loads(message.value or b""))

    async with SandboxProcess(events=3_000, environments=4) as sandbox:
        newest = await sandbox.emit_everywhere()
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix)
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit", on_record=keep) as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published(newest, within_s=40)
            began = time.monotonic()
            assert await daemon.stop(signal.SIGTERM) == 0
            assert time.monotonic() - began < STOP_S
            # Every line is JSON, or this fails.
            assert daemon.events()[-1]["event"] == "daemon.stopped"
            assert daemon.output == []
            await daemon.start()
            await daemon.until_shards(SHARDS)
            assert await daemon.stop(signal.SIGINT) == 0
            ledger = await sandbox.ledger()
            found = await follower.findings(ledger)
        account = await sandbox.account()
    assert found.flaws == []
    assert len(records) == len(ledger) == 3_004
    _names_are_right(records, account)


def _names_are_right(records: list[dict[str, Any]], account: dict[str, Any]) -> None:
    """Hold every name in the records against the account."""
    people = {one["id"]: one["name"] for one in account["users"]}
    places: dict[str, str] = {}
    for environment in account["environments"]:
        places[environment["id"]] = environment["name"]
        places |= {one["id"]: one["name"] for one in environment["spaces"]}
        people |= {one["id"]: one["name"] for one in environment["guests"]}
    known = 0
    for record in records:
        actor = record["actor"]
        assert actor["resolution"] != "unresolved", record
        if actor.get("id") in people:
            known += 1
            assert actor["resolution"] == "resolved", record
            assert actor["name"] == people[actor["id"]]
        if actor["resolution"] == "not_found":
            assert actor["id"] not in people
        for place in ("environment", "space"):
            if place in record and "name" in record[place]:
                assert record[place]["name"] == places[record[place]["id"]]
    assert known > len(records) / 3
    assert all("name" in record["environment"] for record in records)
    # Spaces that were deleted since have no name.
    named = sum("name" in record["space"] for record in records if "space" in record)
    assert named > len(records) / 3


async def test_health_and_metrics_answer(broker: LocalBroker, prefix: str) -> None:
    """On any free port it says that it lives, that it works, and how much it has done."""
    async with SandboxProcess(events=200, environments=2) as sandbox:
        newest = await sandbox.emit_everywhere()
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix)
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published(newest, within_s=30)
            await daemon.until_shards(SHARDS)
            assert await daemon.get("/healthz") == (200, '{"status": "ok"}')
            _, ready = await daemon.get("/readyz")
            assert json.loads(ready) == {
                "ready": True,
                "reasons": [],
                "shards": dict.fromkeys("0123", "running"),
                "environments": 2,
            }
            samples: dict[str, float] = {}
            async with asyncio.timeout(10):
                # A look ends after its last record is published.
                while len(_of(samples, "streamer_watermark_lag_seconds")) < 2:
                    status, page = await daemon.get("/metrics")
                    assert status == 200
                    samples = _samples(page)
            assert sum(_of(samples, "streamer_records_published_total").values()) == 202
            sequences = _of(samples, "streamer_sequence")
            assert sum(sequences.values()) == 202
            assert len(_of(samples, "streamer_seconds_since_poll")) == 2
            assert all(
                0 <= age < 30 for age in _of(samples, "streamer_seconds_since_poll").values()
            )
            assert samples['streamer_commits_total{outcome="committed"}'] >= 2
            ok = 'streamer_flatfile_requests_total{operation="list_events",outcome="ok"}'
            assert samples[ok] >= 2


async def _until_counted(daemon: DaemonProcess, records: int) -> dict[str, float]:
    """The metrics, once the worker knows that so many records are committed.

    A reader may see a record before the worker has the answer to its commit.
    """
    async with asyncio.timeout(10):
        while True:
            status, page = await daemon.get("/metrics")
            assert status == 200
            samples = _samples(page)
            published = sum(_of(samples, "streamer_records_published_total").values())
            if published >= records and len(_of(samples, "streamer_watermark_lag_seconds")) == 2:
                return samples
            await asyncio.sleep(0.05)


def _samples(page: str) -> dict[str, float]:
    """The samples of a metrics page, by name and labels."""
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def _of(samples: dict[str, float], name: str) -> dict[str, float]:
    return {key: value for key, value in samples.items() if key.startswith(f"{name}{{")}


@pytest.mark.timeout(150)
async def test_workers_share_the_shards_and_replace_each_other(
    broker: LocalBroker, prefix: str
) -> None:
    """A second worker takes its share; when either is killed or stopped, the other goes on."""
    async with SandboxProcess(events=4_000, environments=4, rate=40.0) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, KAFKA__SESSION_TIMEOUT="2")
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ) as first,
        ):
            await first.until_shards(SHARDS)
            async with DaemonProcess(environ) as second:
                await _share(first, second)
                await _everyone_publishes(sandbox, follower)
                await first.kill()
                await second.until_shards(SHARDS)
                await _everyone_publishes(sandbox, follower)
                await first.start()
                await _share(first, second)
                await _everyone_publishes(sandbox, follower)
                assert await second.stop() == 0
                await first.until_shards(SHARDS)
            await sandbox.settings(rate=0.0)
            await _everyone_publishes(sandbox, follower)
            assert await first.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


@pytest.mark.timeout(120)
async def test_worker_that_was_frozen_finds_its_shards_taken(
    broker: LocalBroker, prefix: str
) -> None:
    """A worker that wakes up after others took its shards writes nothing more to them."""
    async with SandboxProcess(
        events=40_000, environments=4, rate=40.0, latency_s=0.05, page_cap=100
    ) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, KAFKA__SESSION_TIMEOUT="2")
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ) as first,
            DaemonProcess(environ) as second,
        ):
            await _share(first, second)
            for _ in range(2):
                # Amid a backlog, so that it is frozen in a transaction more often than not.
                await follower.until_records(follower.judge.records + 500, within_s=30)
                second.send(signal.SIGSTOP)
                await first.until_shards(SHARDS)
                second.send(signal.SIGCONT)
                await _share(first, second)
            await sandbox.settings(rate=0.0, latency_s=0.0, page_cap=1000)
            await _everyone_publishes(sandbox, follower)
            assert await second.stop() == 0
            await first.until_shards(SHARDS)
            assert await first.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def _share(one: DaemonProcess, other: DaemonProcess) -> None:
    """Wait until two workers have two shards each, and no shard has two owners."""
    mine: frozenset[int] = frozenset()
    yours: frozenset[int] = frozenset()
    async with asyncio.timeout(30):
        # One that was frozen still names for a moment what it had.
        while mine | yours != set(range(SHARDS)) or len(mine) != len(yours):
            mine, yours = await asyncio.gather(one.shards(), other.shards())
    assert not mine & yours


async def _everyone_publishes(sandbox: SandboxProcess, follower: AuditFollower) -> None:
    """Wait until something that happens now is in the topic, in each environment."""
    await follower.until_published(await sandbox.emit_everywhere(), within_s=30)


@pytest.mark.timeout(120)
async def test_event_reaches_a_consumer_within_a_second_or_two(
    broker: LocalBroker, prefix: str
) -> None:
    """From becoming visible to a `read_committed` consumer: half within 1 s, 99 % within 2 s."""
    chance = random.Random(11)  # noqa: S311 - moments, no secrets
    emitted: dict[str, float] = {}
    arrived: dict[str, float] = {}

    def note(message: Message) -> None:
        arrived[dict(message.headers)["ce_id"].decode()] = time.monotonic()

    async with SandboxProcess(events=1_000, environments=10) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix)
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit", on_record=note) as follower,
            DaemonProcess(environ, follower=follower),
        ):
            newest = await sandbox.emit_everywhere()
            await follower.until_published(newest, within_s=30)
            environments = list(await sandbox.environments())
            # Six are busy; four are quiet most of the time.
            for environment in chance.choices(environments, [8.0] * 6 + [1.0] * 4, k=EVENTS):
                began = time.monotonic()
                (event_id,) = await sandbox.emit(environment)
                emitted[event_id] = began
                # Not for synchronisation: events come at random moments.
                pause_s = chance.expovariate(EVENTS_A_SECOND)
                await asyncio.sleep(max(0.0, began + pause_s - time.monotonic()))
            await follower.until(
                lambda: emitted.keys() <= arrived.keys(), within_s=30, what="all events"
            )
    delays_s = sorted(arrived[event_id] - began for event_id, began in emitted.items())
    p50_s, p99_s = delays_s[EVENTS // 2], delays_s[EVENTS * 99 // 100 - 1]
    print(f"freshness: p50 {p50_s:.2f} s, p99 {p99_s:.2f} s, worst {delays_s[-1]:.2f} s")  # noqa: T201
    assert p50_s <= 1.0
    assert p99_s <= 2.0
