"""Three brokers, of which one is lost, or too few are left: a worker goes on, or waits."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType

from tests.support.audit_follower import AuditFollower
from tests.support.cluster import Cluster
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def cluster(_quick_starts: None) -> AsyncIterator[Cluster]:
    """Three brokers for the test alone."""
    with tempfile.TemporaryDirectory(prefix="streamer-cluster-") as folder:
        async with Cluster(Path(folder)) as running:
            yield running


@pytest.mark.chaos  # In every run, chaos on three brokers kills one as well.
@pytest.mark.timeout(180)
async def test_loss_of_one_broker_of_three_loses_and_repeats_nothing(
    cluster: Cluster, prefix: str
) -> None:
    """Amid a backlog a leader is killed, and comes back: every event is there once."""
    audit = f"{prefix}.audit"
    async with (
        SandboxProcess(
            environments=4, events=8_000, rate=20.0, latency_s=0.05, page_cap=100
        ) as sandbox,
        AuditFollower(cluster.servers, audit) as follower,
        DaemonProcess(environ_of(sandbox, cluster.servers, prefix), follower=follower) as daemon,
    ):
        await follower.until_records(1_000, within_s=60)
        lost = cluster.leader(audit, 0)
        lost.kill()
        await follower.until_records(follower.judge.records + 1_500, within_s=60)
        await cluster.start(lost)
        await sandbox.settings(rate=0.0, latency_s=0.0, page_cap=1000)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=90)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


@pytest.mark.timeout(180)
async def test_too_few_replicas_are_waited_for_and_named(cluster: Cluster, prefix: str) -> None:
    """While fewer replicas are in sync than a topic demands nothing is published, then all is."""
    audit = f"{prefix}.audit"
    async with (
        SandboxProcess(environments=4, events=200) as sandbox,
        AuditFollower(cluster.servers, audit) as follower,
        DaemonProcess(
            environ_of(sandbox, cluster.servers, prefix, KAFKA__TRANSACTION_TIMEOUT="4"),
            follower=follower,
        ) as daemon,
    ):
        await follower.until_published(await sandbox.emit_everywhere(), within_s=60)
        await asyncio.to_thread(_demand_replicas, cluster.servers, audit, 3)
        lost = cluster.nodes[0]
        lost.kill()
        await cluster.until_in_sync(audit, 2)
        events = await sandbox.emit_everywhere()
        # The first reports may be of the broker that is gone, not yet of the missing replicas.
        await daemon.until_logged("library.reported", within_s=90, text="NotEnoughReplicas")
        assert not any(follower.judge.has(*event) for event in events)
        assert (await daemon.get("/healthz"))[0] == 200
        await cluster.start(lost)
        await follower.until_published(events, within_s=90)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


def _demand_replicas(servers: str, topic: str, count: int) -> None:
    """Change how many replicas must be in sync for a topic to be written to."""
    entry = ConfigEntry(
        "min.insync.replicas", str(count), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=20)
