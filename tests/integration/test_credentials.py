"""Planted credentials, and where they must not turn up: topics, logs, messages, pages.

The sandbox writes `PLANTED` into every credential that it shows: in spaces, secrets, job payloads,
signed URLs and the access tokens that it issues. So do the secrets that are configured here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.raw_topics import pieces_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

MARK: Final = "PLANTED"
SECRET: Final = "sk_PLANTED-5ecret-0123456789"  # noqa: S105 - planted
TOKEN: Final = "pat_PLANTED-t0ken-0123456789"  # noqa: S105 - planted

BROKEN: Final = (
    '{"topic":"space:created","payload":{"accessToken":"PLANTED-a"},"createdAt":"x"}',
    '{"id":"us_evt_b1","topic":7,"payload":{"space":{"guestLink":"https://x/?token=PLANTED-b"}}}',
    '{"id":"us_evt_b2","topic":"space:created","payload":{"accessToken":"PLANTED-c"',
    '{"id":"us_evt_b3","topic":1,"\\u0061ccessToken":"PLANTED-d","payload":{"secret":"PLANTED-e"}}',
)
"""Elements that become dead letters, with credentials in them; the third one is not even JSON."""


def account(**more: object) -> SandboxProcess:
    """Return an account with events of every topic."""
    return SandboxProcess(
        events=4_000, environments=3, secret=SECRET, tokens=[TOKEN], page_cap=500, **more
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["key pair", "token"])
async def test_no_credential_leaves_the_process(
    kind: str, broker: LocalBroker, prefix: str
) -> None:
    """Planted credentials are in no topic, no log line at DEBUG, and on no page."""
    servers = broker.bootstrap_servers
    async with account() as sandbox:
        environments = list(await sandbox.environments())
        shown = await _page(sandbox, environments[0])
        # Else this test could not fail.
        assert shown.count(MARK) > 50
        for raw in BROKEN[:2] + BROKEN[3:]:
            await sandbox.emit(environments[0], raw=raw)
        environ = environ_of(
            sandbox,
            servers,
            prefix,
            LOG__LEVEL="debug",
            KAFKA__SASL_USERNAME="streamer",
            KAFKA__SASL_PASSWORD=f"{MARK}-password",
        )
        if kind == "token":
            del environ["STREAMER_FLATFILE__CLIENT_ID"], environ["STREAMER_FLATFILE__SECRET"]
            environ["STREAMER_FLATFILE__TOKEN"] = TOKEN
        async with (
            AuditFollower(servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            # Renewals and failures are where a token is near a log line.
            if kind == "key pair":
                await sandbox.post("revoke", {})
            for fault in ("unauthorized", "error_500", "redirect", "garbage", "reset"):
                await sandbox.post("fault", {"kind": fault, "count": 2, "path": "/v1/events"})
            await follower.until_published(await sandbox.emit_everywhere(), within_s=60)
            pages = [(await daemon.get(path))[1] for path in ("/metrics", "/healthz", "/readyz")]
            assert await daemon.stop() == 0
    assert daemon.events("flatfile.request_failed")
    topics = [f"{prefix}.{name}" for name in ("audit", "checkpoints", "dead-letters", "inventory")]
    pieces = await asyncio.to_thread(lambda: [*pieces_of(servers, topics)])
    assert len(pieces) > 4_000
    assert [piece for piece in pieces if MARK.encode() in piece] == []
    assert MARK not in daemon.text
    assert all(MARK not in page for page in pages)


async def test_refused_credential_is_not_in_the_message(broker: LocalBroker, prefix: str) -> None:
    """What Flatfile refuses is named by its setting, never by its value."""
    async with account() as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, LOG__LEVEL="debug")
        environ["STREAMER_FLATFILE__SECRET"] = f"{SECRET}-wrong"
        for log_format in ("json", "console"):
            async with DaemonProcess({**environ, "STREAMER_LOG__FORMAT": log_format}) as daemon:
                assert await daemon.ended() == 3
            assert "STREAMER_FLATFILE__SECRET" in daemon.text
            assert MARK not in daemon.text


async def _page(sandbox: SandboxProcess, environment: str) -> str:
    """A page of events, as anyone with the token reads it."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        url = f"{sandbox.url}/events?environmentId={environment}&pageSize=500"
        async with session.get(url) as response:
            assert response.status == 200
            return await response.text()
