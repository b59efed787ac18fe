"""Secrets that are rotated while the daemon runs: no restart, no record lost or repeated."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Final

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import commit, connection_to, make_topic, outgoing, started
from tests.support.kafka_proxy import KafkaProxy, listening_socket
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from streamer.broker.local import LocalBroker

SECRETS: Final = ("sk_ROTATED-1", "sk_ROTATED-2", "sk_ROTATED-3", "sk_ROTATED-wrong")


@pytest.mark.timeout(150)
async def test_flatfile_secret_is_rotated_while_it_runs(
    broker: LocalBroker, prefix: str, tmp_path: Path
) -> None:
    """A secret that turns, is wrong for a while, or has no file, costs no restart and no record."""
    await asyncio.gather(
        _rotated("secret", broker.bootstrap_servers, f"{prefix}a", tmp_path / "secret"),
        _rotated("token", broker.bootstrap_servers, f"{prefix}b", tmp_path / "token"),
    )


async def _rotated(kind: str, servers: str, prefix: str, file: Path) -> None:
    """Rotate the secret of a key pair, or a personal access token."""
    first, second, third, wrong = SECRETS
    _write(file, first)
    async with SandboxProcess(events=200, environments=3, rate=10.0) as sandbox:
        environ = environ_of(sandbox, servers, prefix, WEB__STALL_AFTER="4")
        del environ["STREAMER_FLATFILE__SECRET"]
        if kind == "token":
            del environ["STREAMER_FLATFILE__CLIENT_ID"]
        environ[f"STREAMER_FLATFILE__{kind.upper()}_FILE"] = str(file)

        async def accept(secret: str) -> None:
            """From now on the account accepts this secret alone, and no token of before."""
            accepted = {"secret": secret} if kind == "secret" else {"tokens": [secret]}
            await sandbox.settings(**accepted)
            await sandbox.post("revoke", {})

        await accept(first)
        async with (
            AuditFollower(servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            await daemon.until_shards(4)

            await accept(second)
            _write(file, second)
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)

            await accept(third)
            _write(file, wrong)
            missed = await sandbox.emit_everywhere()
            await _until_not_ready(daemon)
            _take_away(file)
            await daemon.until_logged("secrets.file_unreadable")
            assert (await daemon.get("/healthz"))[0] == 200
            _write(file, third)
            await follower.until_published(missed, within_s=40)
            await daemon.until_shards(4)

            await sandbox.settings(rate=0.0)
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert daemon.events("secrets.file_changed")
    assert "ROTATED" not in daemon.text
    assert "Traceback" not in daemon.text


def _write(file: Path, secret: str) -> None:
    file.write_text(f"{secret}\n")


def _take_away(file: Path) -> None:
    """Leave it as a file is for a moment that is being replaced: empty, then gone."""
    file.write_text("")
    file.unlink()


async def _until_not_ready(daemon: DaemonProcess) -> None:
    """Wait until it says that it cannot read."""
    async with asyncio.timeout(30):
        while (await daemon.get("/readyz"))[0] == 200:  # noqa: ASYNC110 - a page
            await asyncio.sleep(0.1)


async def test_kafka_password_is_rotated_while_it_runs(
    own_broker: Callable[..., Awaitable[LocalBroker]],
    prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When all connections are cut, worker and producer go on with the new password."""
    file = tmp_path / "password"
    _write(file, "first")
    monkeypatch.setenv("STREAMER_KAFKA__SASL_PASSWORD_FILE", str(file))
    with contextlib.closing(listening_socket()) as listener:
        broker = await own_broker(properties=_scram_at(listener))
        servers, port = broker.bootstrap_servers, _sasl_port(broker)
        await asyncio.to_thread(_set_password, servers, "first")
        async with (
            contextlib.AsyncExitStack() as proxies,
            SandboxProcess(events=200, environments=3, rate=10.0) as sandbox,
            AuditFollower(servers, f"{prefix}.audit") as follower,
        ):
            proxy = await proxies.enter_async_context(KafkaProxy(listener, port))
            environ = environ_of(
                sandbox,
                proxy.servers,
                prefix,
                KAFKA__SECURITY_PROTOCOL="SASL_PLAINTEXT",
                KAFKA__SASL_MECHANISM="SCRAM-SHA-256",
                KAFKA__SASL_USERNAME="ada",
                KAFKA__SASL_PASSWORD_FILE=str(file),
            )
            connection = connection_to(
                proxy.servers,
                security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="SCRAM-SHA-256",
                sasl_username="ada",
                sasl_password="first",  # noqa: S106 - the broker's is thrown away
            )
            topic = await make_topic(servers, f"{prefix}-alone")
            async with (
                started(connection, prefix) as producer,
                DaemonProcess(environ, follower=follower) as daemon,
            ):
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                await commit(producer, {topic: outgoing(b"before")})
                await asyncio.to_thread(_set_password, servers, "second")
                _write(file, "second")
                await proxies.aclose()
                await proxies.enter_async_context(KafkaProxy(listener, port))
                await commit(producer, {topic: outgoing(b"after")})
                await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
                await daemon.until_shards(4)
                await sandbox.settings(rate=0.0)
                await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
                assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert "Traceback" not in daemon.text


def _scram_at(listener: socket.socket) -> dict[str, str]:
    """A listener that asks for a password, with a proxy before it, and one for us."""
    return {
        "listeners": "PLAINTEXT://127.0.0.1:0,SASL://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:0,"
        f"SASL://127.0.0.1:{listener.getsockname()[1]}",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "SASL:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.sasl.scram-sha-256.sasl.jaas.config": "org.apache.kafka.common.security."
        "scram.ScramLoginModule required;",
    }


def _sasl_port(broker: LocalBroker) -> int:
    """The port of the listener that asks for a password: the last one that is announced."""
    said = broker.output_path.read_text()
    return int(re.findall(r"Awaiting socket connections on 127\.0\.0\.1:(\d+)\.", said)[-1])


def _set_password(servers: str, password: str) -> None:
    """Let this be the password from now on; who is logged in stays so."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    change = UserScramCredentialUpsertion("ada", info, password.encode())
    admin = AdminClient({"bootstrap.servers": servers})
    for answer in admin.alter_user_scram_credentials([change]).values():
        answer.result(timeout=20)
