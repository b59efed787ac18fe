"""Whether what a setting holds can be meant; what cannot is a ValueError that quotes no secret."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")

_NO_URL: Final = "must be an https URL"

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
        instant = parsed.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        message = "must be earliest, now, or a date-time such as 2026-01-31T00:00:00Z"
        raise ValueError(message) from None
    if parsed.tzinfo is None:
        message = "a date-time needs its zone, such as 2026-01-31T00:00:00Z"
        raise ValueError(message)
    return instant


def check_key(value: SecretStr) -> SecretStr:
    """Return a key that makes pseudonyms.

    Raises:
        ValueError: It is too short, or none.
    """
    check_secret(value)
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


def check_prefix(value: str) -> str:
    """Return what the names of topics begin with.

    Raises:
        ValueError: Kafka would refuse the names.
    """
    if _PREFIX.fullmatch(value) is None:
        message = "must be 1 to 200 letters (a to z), digits, dots, underscores or hyphens"
        raise ValueError(message)
    return value


def check_file(value: object) -> object:
    """Return the path of a file.

    Raises:
        ValueError: It is empty, which would be the folder that we are in.
    """
    if value == "":
        message = "is empty: give the path of a file, or leave it out"
        raise ValueError(message)
    return value


def check_api_url(value: str) -> str:
    """Return a URL that requests can be appended to.

    Raises:
        ValueError: It is none.
    """
    for problem in _problems_of_url(value):
        raise ValueError(problem)
    return value


def _problems_of_url(value: str) -> Iterator[str]:
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        yield _NO_URL
        return
    is_clean = value.isprintable() and " " not in value
    if parts.scheme not in {"https", "http"} or not host or not is_clean:
        yield _NO_URL
    if parts.username is not None or parts.password is not None:
        yield "must not carry credentials"
    if "?" in value or "#" in value:
        yield "must end with the API's version: paths are appended to it, so it has no ? and no #"
    try:
        _ = parts.port
    except ValueError:
        yield "has a port that is no number up to 65535"


def check_text(value: str) -> str:
    """Return a name or a secret that is sent as it is.

    Raises:
        ValueError: It is empty, or holds what nobody meant to put there.
    """
    if (flaw := flaw_of(value)) is not None:
        raise ValueError(flaw)
    return value


def check_secret(value: SecretStr) -> SecretStr:
    """Return a secret.

    Raises:
        ValueError: It is empty, or holds what nobody meant to put there.
    """
    check_text(value.get_secret_value())
    return value


def flaw_of(text: str) -> str | None:
    """Say what is wrong with a name or a secret, without quoting it; None: nothing."""
    if not text:
        return "is empty"
    if "\n" in text or "\r" in text:
        return "has more than one line"
    if not text.isprintable():
        return "has a character in it that cannot be seen"
    return None if text == text.strip() else "begins or ends with a space"
