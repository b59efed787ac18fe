"""A worker that logs in with SCRAM, over TLS."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streamer.broker.local import LocalBroker
from tests.integration.conftest import QUICK
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.guarded_broker import certificate
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD: Final = "correct horse"  # noqa: S105 - the broker is thrown away


class ScramBroker(NamedTuple):
    """A broker that is reached with SCRAM over TLS.

    Attributes:
        plain: Asks for nothing; for the judge.
        scram: Asks for the password of `ada`, over TLS.
        authority: Whose certificate it shows.
    """

    plain: str
    scram: str
    authority: Path


def listeners(store: Path) -> dict[str, str]:
    """Properties of a broker with these two listeners."""
    return {
        "listeners": "PLAINTEXT://127.0.0.1:0,SCRAM://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "advertised.listeners": "PLAINTEXT://127.0.0.1:0,SCRAM://127.0.0.1:0",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.scram.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security."
        "scram.ScramLoginModule required;",
        "listener.name.scram.ssl.keystore.type": "PEM",
        "listener.name.scram.ssl.keystore.location": str(store),
    }


@pytest.fixture
def scram(_quick_starts: None) -> Iterator[ScramBroker]:
    """The broker, with a password for `ada`."""
    with tempfile.TemporaryDirectory(prefix="streamer-broker-") as name:
        folder = Path(name)
        store, authority = certificate(folder)
        local = LocalBroker(folder / "data", properties=QUICK | listeners(store))
        asyncio.run(local.start())
        try:
            said = local.output_path.read_text()
            ports = re.findall(r"Awaiting socket connections on 127\.0\.0\.1:(\d+)\.", said)
            plain, scram = (f"127.0.0.1:{port}" for port in ports[1:])
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
            user = UserScramCredentialUpsertion("ada", info, PASSWORD.encode())
            admin = AdminClient({"bootstrap.servers": plain})
            for done in admin.alter_user_scram_credentials([user]).values():
                done.result(timeout=20)
            yield ScramBroker(plain, scram, authority)
        finally:
            local.kill()


async def test_worker_publishes_with_scram_over_tls(scram: ScramBroker, prefix: str) -> None:
    """With its password it publishes every event; with another one it says so and ends with 4."""
    async with (
        SandboxProcess(events=100, environments=2) as sandbox,
        AuditFollower(scram.plain, f"{prefix}.audit") as follower,
    ):
        environ = environ_of(
            sandbox,
            scram.scram,
            prefix,
            KAFKA__SECURITY_PROTOCOL="SASL_SSL",
            KAFKA__SASL_MECHANISM="SCRAM-SHA-512",
            KAFKA__SASL_USERNAME="ada",
            KAFKA__SSL_CAFILE=str(scram.authority),
            KAFKA__STARTUP_TIMEOUT="5",
        )
        async with DaemonProcess(
            environ | {"STREAMER_KAFKA__SASL_PASSWORD": "wrong battery"}
        ) as daemon:
            assert await daemon.ended() == 4
            assert "Authentication failed" in daemon.text
            assert "battery" not in daemon.text
        async with DaemonProcess(
            environ | {"STREAMER_KAFKA__SASL_PASSWORD": PASSWORD}, follower=follower
        ) as daemon:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
