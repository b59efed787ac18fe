"""Whether what a setting holds can be meant; what cannot is a ValueError that quotes no secret."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pydantic import SecretStr

LEAST_KEY_BYTES: Final = 16
"""Of the key that makes pseudonyms. Names can be guessed, so the key must not be."""


def check_start(value: str) -> str:
    """Return where capture starts, an instant in UTC.

    Raises:
        ValueError: It is none.
    """
    if value in {"earliest", "now"}:
        return value
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        message = "must be earliest, now, or a date-time such as 2026-01-31T00:00:00Z"
        raise ValueError(message) from None
    if parsed.tzinfo is None:
        message = "a date-time needs its zone, such as 2026-01-31T00:00:00Z"
        raise ValueError(message)
    return parsed.astimezone(UTC).isoformat()


def check_key(value: SecretStr) -> SecretStr:
    """Return a key that makes pseudonyms.

    Raises:
        ValueError: It is too short.
    """
    if len(value.get_secret_value().encode("utf-8", "surrogatepass")) < LEAST_KEY_BYTES:
        message = f"must be at least {LEAST_KEY_BYTES} bytes: a shorter key can be guessed"
        raise ValueError(message)
    return value


def check_servers(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return addresses of brokers.

    Raises:
        ValueError: One of them is none.
    """
    for server in value:
        with suppress(ValueError):
            parts = urlsplit(f"//{server}")
            if parts.hostname and parts.netloc == server and parts.port != 0:
                continue
        message = "must be host:port, such as kafka.example.com:9092"
        raise ValueError(message)
    return value
