"""An API that answers with anything but what was asked for: the daemon goes on by itself."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.request_tap import RequestTap
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.broker.local import LocalBroker

TROUBLES: dict[str, dict[str, Any]] = {
    "500 with the documented body": {"error_500": 1.0},
    "502 with an HTML page": {"bad_gateway": 1.0},
    "503 without a body": {"status": 1.0, "status_code": 503},
    "200 with an HTML page": {"html": 1.0},
    "200 with garbage": {"garbage": 1.0},
    "half a body": {"half": 1.0},
    "a body that is cut": {"truncated": 1.0},
    "a reset": {"reset": 1.0},
    "429 with seconds": {"throttle": 1.0, "retry_after": "seconds", "retry_after_s": 1},
    "429 with a date": {"throttle": 1.0, "retry_after": "date", "retry_after_s": 1},
    "429 without a word": {"throttle": 1.0, "retry_after": "none"},
}
PARTS = 4
"""How many daemons meet them, each its share, at the same time."""

FINE: dict[str, Any] = dict.fromkeys(
    {name for trouble in TROUBLES.values() for name in trouble} - {"retry_after", "retry_after_s"},
    0.0,
) | {"status_code": 503, "hang": 0.0}


@pytest.mark.timeout(240)
async def test_api_in_trouble_loses_and_repeats_nothing(broker: LocalBroker, prefix: str) -> None:
    """Whatever the API answers to every request for a while: then all is there, once."""
    names = list(TROUBLES)
    await asyncio.gather(
        *(
            _lives_through(names[part::PARTS], broker.bootstrap_servers, f"{prefix}{part}")
            for part in range(PARTS)
        )
    )


async def _lives_through(names: Sequence[str], servers: str, prefix: str) -> None:
    """One daemon and one API, which has one trouble after the other."""
    async with (
        SandboxProcess(events=800, environments=4, rate=20.0, page_cap=50) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower) as daemon,
    ):
        await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
        for name in names:
            failed = await _failed_requests(daemon)
            await sandbox.settings(**TROUBLES[name])
            events = await sandbox.emit_everywhere()
            # Each environment's poll, and one attempt more.
            async with asyncio.timeout(20):
                while await _failed_requests(daemon) < failed + 5:
                    assert daemon.is_running, name
            await sandbox.settings(**FINE)
            await follower.until_published(events, within_s=40)
        await sandbox.settings(rate=0.0)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert "Traceback" not in daemon.text
    assert not any("exception" in line for line in daemon.events())
    # Each trouble is a line a minute at most for each thing that was asked for.
    failures = daemon.events("flatfile.request_failed")
    assert 0 < len(failures) <= 8 * len(names)


async def _failed_requests(daemon: DaemonProcess) -> float:
    """How many requests have not gone well, as its metrics say."""
    _, page = await daemon.get("/metrics")
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("streamer_flatfile_requests_total{") and 'outcome="ok"' not in line
    )


@pytest.mark.timeout(120)
async def test_api_that_says_nothing_is_waited_for_and_told_apart_from_a_quiet_one(
    broker: LocalBroker, prefix: str
) -> None:
    """An API that accepts and does not answer makes the worker not ready, and it goes on later."""
    servers = broker.bootstrap_servers
    async with (
        SandboxProcess(events=200, environments=4) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(environ_of(sandbox, servers, prefix, WEB__STALL_AFTER="3")) as daemon,
    ):
        await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
        await daemon.until_shards(4)
        # The longest silence that is waited for is 20 s.
        await sandbox.settings(hang=1.0, hang_s=60.0, faults_on="/v1/events")
        events = await sandbox.emit_everywhere()
        async with asyncio.timeout(20):
            while (answer := await daemon.get("/readyz"))[0] == 200:
                pass
        assert "not polled with success" in json.loads(answer[1])["reasons"][0]
        assert (await daemon.get("/healthz"))[0] == 200
        await sandbox.settings(hang=0.0)
        await follower.until_published(events, within_s=60)
        await daemon.until_shards(4)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def test_api_that_is_away_at_the_start_is_waited_for(
    broker: LocalBroker, prefix: str
) -> None:
    """A daemon that is started before Flatfile answers lives, says so, and begins later."""
    servers = broker.bootstrap_servers
    await asyncio.gather(
        _begins_later("/v1/", "earliest", servers, f"{prefix}a"),
        _begins_later("/v1/events", "now", servers, f"{prefix}b"),
    )


async def _begins_later(path: str, start: str, servers: str, prefix: str) -> None:
    """Begin once what is below this path answers."""
    async with (
        SandboxProcess(events=0, environments=2, bad_gateway=1.0, faults_on=path) as sandbox,
        AuditFollower(servers, f"{prefix}.audit") as follower,
        DaemonProcess(
            environ_of(sandbox, servers, prefix, CAPTURE__START=start), follower=follower
        ) as daemon,
    ):
        await daemon.until_logged("daemon.waiting_for_flatfile", within_s=40)
        await sandbox.settings(bad_gateway=0.0)
        await daemon.until_logged("daemon.started", within_s=40)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []


async def test_daemon_that_waits_for_flatfile_stops_in_order(
    broker: LocalBroker, prefix: str
) -> None:
    """SIGTERM ends the wait for an API that is away, with 0."""
    async with (
        SandboxProcess(events=10, environments=1, hang=1.0) as sandbox,
        RequestTap(sandbox.url) as tap,
        DaemonProcess(
            environ_of(sandbox, broker.bootstrap_servers, prefix, FLATFILE__API_URL=tap.url)
        ) as daemon,
    ):
        async with asyncio.timeout(20):
            while not tap.requests:  # noqa: ASYNC110 - another process asks
                await asyncio.sleep(0.02)
        assert await daemon.stop() == 0
