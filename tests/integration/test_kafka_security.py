"""What stands between us and a broker is named: password, certificate, permission.

One broker with a listener of each kind. It also creates topics by itself, as Kafka's default is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamer.errors import KafkaUnreachableError, SettingsError
from streamer.kafka.client import Connection
from streamer.kafka.topics import describe, ensure
from tests.integration.conftest import QUICK
from tests.support.guarded_broker import PASSWORD, Guarded, guarded_broker
from tests.support.kafka_parts import (
    commit,
    connection_to,
    kafka_settings,
    outgoing,
    started,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def guarded(_quick_starts: None) -> Iterator[Guarded]:
    """The broker with all its listeners."""
    with guarded_broker(QUICK) as broker:
        yield broker


def login(password: str, user: str = "ada") -> dict[str, object]:
    """Settings of a login."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_username": user,
        "sasl_password": password,
        "startup_timeout": 5,
    }


async def refusal_of(servers: str, prefix: str, **options: object) -> str:
    """What is said when topics can not be looked at."""
    settings = kafka_settings(servers, prefix, **options)
    with pytest.raises(KafkaUnreachableError) as refusal:
        await describe(Connection(settings), settings)
    return str(refusal.value)


async def test_right_password_opens_everything(guarded: Guarded, prefix: str) -> None:
    """With its password a worker creates its topics and commits."""
    settings = kafka_settings(guarded.sasl, prefix, **login(PASSWORD))

    topics = await ensure(Connection(settings), settings)
    async with started(Connection(settings), prefix) as producer:
        await commit(producer, {topics.audit.name: outgoing(b"record")})

    assert await values(guarded.plain, topics.audit.name) == [b"record"]


async def test_wrong_password_is_said_to_be_one(guarded: Guarded, prefix: str) -> None:
    """The broker's own words about a login reach the operator, and the password does not."""
    said = await refusal_of(guarded.sasl, prefix, **login("wrong battery"))

    assert "Authentication failed" in said
    assert "the security settings" in said
    assert "battery" not in said


async def test_missing_login_is_told_in_time(guarded: Guarded, prefix: str) -> None:
    """A worker without a login at a listener that wants one does not wait for ever."""
    said = await refusal_of(guarded.sasl, prefix, startup_timeout=5)

    assert f"Kafka at {guarded.sasl}: connecting failed: " in said


async def test_producer_with_a_wrong_password_is_told_the_same(
    guarded: Guarded, prefix: str
) -> None:
    """Not only the first look: whatever is started with a wrong password says so."""
    with pytest.raises(KafkaUnreachableError, match="Authentication failed"):
        async with started(connection_to(guarded.sasl, **login("wrong")), prefix):
            pass


async def test_certificate_of_a_trusted_authority_is_accepted(
    guarded: Guarded, prefix: str
) -> None:
    """With the authority's certificate given, TLS works."""
    settings = kafka_settings(
        guarded.tls, prefix, security_protocol="SSL", ssl_cafile=guarded.authority
    )
    assert (await ensure(Connection(settings), settings)).partitions == 2


async def test_untrusted_authority_is_said_to_be_one(guarded: Guarded, prefix: str) -> None:
    """A certificate that nobody vouches for is named as the reason."""
    said = await refusal_of(guarded.tls, prefix, security_protocol="SSL", startup_timeout=5)

    assert "certificate verify failed" in said
    assert "self-signed certificate in certificate chain" in said or "local issuer" in said


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
async def test_tls_at_a_plain_listener_is_said_to_be_that(
    protocol: str, guarded: Guarded, prefix: str
) -> None:
    """A broker hangs up on TLS without a word; what that means is said all the same."""
    options = {**login(PASSWORD), "security_protocol": protocol}
    said = await refusal_of(guarded.plain, prefix, **options)

    assert f'Unable connect to "{guarded.plain}": the connection ended while TLS' in said
    assert "as where a listener has no TLS. Check" in said


async def test_plain_text_at_a_tls_listener_is_told_in_time(guarded: Guarded, prefix: str) -> None:
    """Speaking without TLS to a listener that wants it ends in an error, in time."""
    said = await refusal_of(guarded.tls, prefix, startup_timeout=5)

    assert f"Kafka at {guarded.tls}: connecting failed: " in said


async def test_authority_file_that_is_none_is_a_wrong_setting(
    guarded: Guarded, prefix: str, tmp_path: Path
) -> None:
    """A file that holds no certificate is found before anything is connected."""
    file = tmp_path / "authority.pem"
    file.write_text("not a certificate")
    settings = kafka_settings(guarded.tls, prefix, security_protocol="SSL", ssl_cafile=file)
    with pytest.raises(SettingsError, match="STREAMER_KAFKA__SSL_CAFILE"):
        Connection(settings)


async def test_broker_that_creates_topics_by_itself_is_not_made_to(
    guarded: Guarded, prefix: str
) -> None:
    """Looking at topics creates none, and those that are created are as the log needs them."""
    settings = kafka_settings(guarded.plain, prefix)
    connection = Connection(settings)
    for _ in range(3):
        assert await describe(connection, settings) == {}

    topics = await ensure(connection, settings)
    assert topics.checkpoints.policy == "compact"
    assert topics.audit.timestamp_type == "LogAppendTime"
