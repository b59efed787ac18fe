"""A broker that goes away for a while and comes back: stopped in its tracks, or killed."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from streamer.errors import KafkaUnreachableError
from streamer.kafka.transaction import TransactionalProducer
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import connection_to
from tests.support.kafka_proxy import frame
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamer.broker.local import LocalBroker

AWAY_S = 20.0


@pytest.mark.timeout(180)
async def test_broker_that_is_away_for_20_s_loses_and_repeats_nothing(
    own_broker: Callable[..., Awaitable[LocalBroker]], prefix: str
) -> None:
    """The daemon lives through it and goes on by itself; every event is there once."""
    paused, killed = await own_broker(), await own_broker()
    back_s = await asyncio.gather(
        _goes_on(paused, prefix, away=paused.pause, back=_resumed(paused)),
        _goes_on(killed, prefix, away=killed.kill, back=killed.start),
    )
    print(f"1,000 records more after a pause: {back_s[0]:.1f} s, a kill: {back_s[1]:.1f} s")  # noqa: T201


def _resumed(broker: LocalBroker) -> Callable[[], Awaitable[None]]:
    async def resume() -> None:
        broker.resume()

    return resume


async def _goes_on(
    broker: LocalBroker,
    prefix: str,
    *,
    away: Callable[[], None],
    back: Callable[[], Awaitable[None]],
) -> float:
    """Return how long it took until records came again."""
    servers = broker.bootstrap_servers
    # A backlog that lasts, so that the broker goes away amid transactions.
    account: dict[str, Any] = {"events": 20_000, "latency_s": 0.1, "page_cap": 100, "rate": 20.0}
    async with (
        SandboxProcess(environments=4, **account) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower) as daemon,
    ):
        await follower.until_records(1000, within_s=40)
        away()
        before = follower.judge.records
        await _lives_for(daemon, AWAY_S)
        began = time.monotonic()
        await back()
        await follower.until_records(before + 1000, within_s=60)
        back_s = time.monotonic() - began
        await sandbox.settings(rate=0.0, latency_s=0.0, page_cap=1000)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=60)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert "Traceback" not in daemon.text
    assert not any("exception" in line for line in daemon.events())
    return back_s


async def _lives_for(daemon: DaemonProcess, duration_s: float) -> None:
    """Let time pass, in which the daemon must not end and must answer."""
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        assert daemon.is_running, daemon.text[-3000:]
        assert (await daemon.get("/healthz"))[0] == 200
        # Not for synchronisation: it is away for as long as it is away.
        await asyncio.sleep(0.5)


async def test_daemon_that_waits_for_kafka_stops_in_order(prefix: str) -> None:
    """SIGTERM ends the wait for a broker that accepts and says nothing, with 0."""
    accepted = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read(-1)
        writer.close()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    servers = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    async with (
        silent,
        SandboxProcess(events=10, environments=1) as sandbox,
        DaemonProcess(environ_of(sandbox, servers, prefix)) as daemon,
        asyncio.timeout(40),
    ):
        await accepted.wait()
        assert await daemon.stop() == 0


async def test_broker_that_knows_no_broker_yet_is_one_that_cannot_be_reached() -> None:
    """A broker that has just come back and names none is no bug of ours, but one to wait for."""
    half_awake = await asyncio.start_server(_answer_without_brokers, "127.0.0.1", 0)
    servers = f"127.0.0.1:{half_awake.sockets[0].getsockname()[1]}"
    async with half_awake:
        producer = TransactionalProducer(
            connection_to(servers, startup_timeout=5),
            transactional_id="t",
            partition=0,
            compression="none",
            transaction_timeout_s=5,
        )
        with pytest.raises(KafkaUnreachableError):
            await producer.start()
        await producer.discard()


async def _answer_without_brokers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Speak as much Kafka as a client needs to be told that there is no broker."""
    api_versions, metadata = 18, 3
    supported = [(api_versions, 0, 0), (metadata, 0, 0), (10, 0, 0), (22, 0, 0)]
    bodies = {
        api_versions: struct.pack(">hi", 0, len(supported))
        + b"".join(struct.pack(">hhh", *one) for one in supported),
        metadata: struct.pack(">ii", 0, 0),
    }
    while (request := await frame(reader)) is not None:
        api, _, correlation = struct.unpack_from(">hhi", request, 4)
        body = struct.pack(">i", correlation) + bodies[api]
        writer.write(struct.pack(">i", len(body)) + body)
    writer.close()
