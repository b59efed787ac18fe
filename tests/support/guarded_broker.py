"""A broker with a listener of each kind, that asks who may do what.

`ada` may do everything, `bob` nothing, and whoever comes without a login everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streamer.broker.local import LocalBroker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PASSWORD: Final = "correct horse"  # noqa: S105 (the broker is thrown away)


class Guarded(NamedTuple):
    """A broker with several listeners.

    Attributes:
        plain: Open to everyone, for looking.
        sasl: Asks for the password of `ada` or `bob`.
        tls: Shows a certificate of the authority whose own is at `authority`.
    """

    plain: str
    sasl: str
    tls: str
    authority: Path


@contextlib.contextmanager
def guarded_broker(properties: Mapping[str, str]) -> Iterator[Guarded]:
    """Start it, and throw it away at the end."""
    with tempfile.TemporaryDirectory(prefix="streamer-broker-") as name:
        folder = Path(name)
        store, authority = certificate(folder)
        local = LocalBroker(folder / "data", properties={**properties, **listeners(store)})
        asyncio.run(local.start())
        try:
            said = local.output_path.read_text()
            # In the order of the property; the controller's comes first.
            ports = re.findall(r"Awaiting socket connections on 127\.0\.0\.1:(\d+)\.", said)
            plain, sasl, tls = (f"127.0.0.1:{port}" for port in ports[1:])
            yield Guarded(plain, sasl, tls, authority)
        finally:
            local.kill()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key store for Java, which takes keys as PKCS#8 only, and the authority's certificate."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    store = folder / "store.pem"
    store.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + b"".join(part.bytes() for part in issued.cert_chain_pems)
    )
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    return store, trusted


def listeners(store: Path) -> dict[str, str]:
    """Properties of a broker with a listener of each kind, and an authorizer."""
    names = ("PLAINTEXT", "SASL", "TLS")
    return {
        "listeners": ",".join(f"{name}://127.0.0.1:0" for name in (*names, "CONTROLLER")),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:0" for name in names),
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "SASL:SASL_PLAINTEXT,TLS:SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": "org.apache.kafka.common.security.plain."
        f'PlainLoginModule required user_ada="{PASSWORD}" user_bob="{PASSWORD}";',
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": str(store),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS;User:ada",
        "auto.create.topics.enable": "true",
    }
