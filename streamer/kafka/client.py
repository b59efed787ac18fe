"""How the brokers are spoken to, and what went wrong in words.

aiokafka answers a wrong password, an untrusted certificate and a closed port alike with "Unable to
bootstrap"; the reason reaches only its logger. `explained` listens to that logger while a call
runs, so that the error we raise says what a person can mend.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from typing_extensions import override

from streamer.config import ENVIRONMENT_PREFIX, LOOPBACK_HOSTS, SECRET_FIELDS
from streamer.errors import KafkaUnreachableError, SettingsError
from streamer.kafka.stopping import is_ended
from streamer.sources import SecretFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiokafka.client import AIOKafkaClient

    from streamer.config import KafkaSettings

RETRY_BACKOFF_MS: Final = 100
"""Between two attempts of the client. Each one is a log line of its own while a broker is away."""

_LIBRARY_LOGGER: Final = "aiokafka"

_FORBIDDEN: Final = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""What a broker answers that was reached, and does not let this user do something."""


class Connection:
    """Where the cluster is and how to open it: made once from the settings, used by every client.

    Raises:
        SettingsError: No bootstrap servers, or a certificate file that cannot be used.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        if not settings.bootstrap_servers:
            raise SettingsError(
                where="STREAMER_KAFKA__BOOTSTRAP_SERVERS",
                what="it is not set, so there is no Kafka to publish to",
                next_step="Set it to host:port of a broker; `streamer broker` starts a local one.",
            )
        self.servers: Final = ",".join(settings.bootstrap_servers)
        self.call_timeout_s: Final = settings.startup_timeout
        self._settings = settings
        self._secrets = SecretFiles(
            settings, prefix=f"{ENVIRONMENT_PREFIX}KAFKA__", secrets=SECRET_FIELDS["kafka"]
        )
        self._ssl_context = _ssl_context(settings)

    @property
    def in_the_clear(self) -> bool:
        """Whether records leave this machine without TLS."""
        hosts = (urlsplit(f"//{server}").hostname for server in self._settings.bootstrap_servers)
        return not self._settings.security_protocol.endswith("SSL") and any(
            host not in LOOPBACK_HOSTS for host in hosts
        )

    def options(self) -> dict[str, Any]:
        """Arguments that every aiokafka client takes; the password is read anew from its file."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "client_id": "streamer",
            "retry_backoff_ms": RETRY_BACKOFF_MS,
            "security_protocol": self._settings.security_protocol,
            "ssl_context": self._ssl_context,
        }
        if (password := self._password()) is not None:
            options |= {
                "sasl_mechanism": self._settings.sasl_mechanism,
                "sasl_plain_username": self._settings.sasl_username,
                "sasl_plain_password": password,
            }
        return options

    def renew_password(self, client: AIOKafkaClient) -> None:
        """Let a client that runs log in with the password as it is now in its file.

        Connections that are open stay as they are: Kafka asks for a password once a connection.
        """
        # There is no public way: the client takes a password once, for all of its connections.
        client._sasl_plain_password = self._password()  # noqa: SLF001

    def _password(self) -> str | None:
        password = self._secrets.current().sasl_password
        return None if password is None else password.get_secret_value()

    @contextlib.asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """An admin client for the time of the block.

        Raises:
            KafkaUnreachableError: No broker answered in time.
        """
        client = AIOKafkaAdminClient(
            **self.options(), request_timeout_ms=round(self.call_timeout_s * 1000)
        )
        try:
            with self.explained("connecting"):
                async with asyncio.timeout(self.call_timeout_s):
                    await client.start()
            yield client
        finally:
            await is_ended(client.close(), within_s=self.call_timeout_s)

    @contextlib.contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turn what aiokafka raises in the block into an error that says why.

        Raises:
            KafkaUnreachableError: Whatever the block raised from aiokafka, or a time-out.
        """
        reasons = _Reasons(tls=self._ssl_context is not None)
        logger = logging.getLogger(_LIBRARY_LOGGER)
        logger.addHandler(reasons)
        try:
            yield
        except _FORBIDDEN as error:
            # It says itself what it is; what the library logged may have been of anything.
            raise KafkaUnreachableError(
                where=f"Kafka at {self.servers}",
                what=f"{doing} failed: {_words(error)}",
                next_step="Give the user of streamer the permissions that the README lists.",
            ) from error
        except (KafkaError, OSError, TimeoutError, AssertionError) as error:
            # The library asserts that it knows a broker; one that has just come back names none.
            raise KafkaUnreachableError(
                where=f"Kafka at {self.servers}",
                what=f"{doing} failed: {reasons.last or _words(error)}",
                next_step="Check STREAMER_KAFKA__BOOTSTRAP_SERVERS, the security settings, "
                "and that the broker is up.",
            ) from error
        finally:
            logger.removeHandler(reasons)


class _Reasons(logging.Handler):
    """Keeps the last thing that the library complained about."""

    def __init__(self, *, tls: bool) -> None:
        super().__init__(level=logging.WARNING)
        self.last: str | None = None
        self._tls = tls

    @override
    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        arguments = record.args if isinstance(record.args, tuple) else ()
        told = next((each for each in arguments if isinstance(each, BaseException)), None)
        if self._tls and (isinstance(told, ConnectionResetError) or _is_no_tls(told)):
            # What it says is a number, or nothing at all.
            message = f"{message.removesuffix(str(told))}{_NO_TLS}"
        elif record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {_words(record.exc_info[1])}"
        self.last = message


_NO_TLS: Final = "the connection ended while TLS was agreed on, as where a listener has no TLS"


def _is_no_tls(error: BaseException | None) -> bool:
    return isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER"


def _words(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, RequestTimedOutError)):
        return "no answer in time"
    return str(error) or type(error).__name__


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(
            cafile=None if settings.ssl_cafile is None else str(settings.ssl_cafile)
        )
        if settings.ssl_certfile is not None and settings.ssl_keyfile is not None:
            context.load_cert_chain(str(settings.ssl_certfile), str(settings.ssl_keyfile))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            where="STREAMER_KAFKA__SSL_CAFILE, __SSL_CERTFILE, __SSL_KEYFILE",
            what=f"a certificate or key cannot be used: {error.strerror or error}",
            next_step="Give PEM files that exist and belong together.",
        ) from None
    return context


def was_reported(error: object) -> bool:
    """Whether an exception that nobody retrieved is one that a call of ours has raised before.

    aiokafka leaves futures of its own behind when a producer fails.
    """
    return isinstance(error, KafkaError)
