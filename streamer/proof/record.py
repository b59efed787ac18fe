"""A record as a verifier reads it: the few members that are held against something else.

Shares nothing with the code that writes records. What stands in the open parts may be anything
that Flatfile sent, also what a decoder refuses (1,000 levels, half a surrogate pair): the members
before them are then read alone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from streamer.audit.chain import SEAL_BYTES

Natural = Annotated[int, Meta(ge=1)]


class Reference(msgspec.Struct, frozen=True, gc=False):
    """Something with an id."""

    id: str


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who acted."""

    type: str
    id: str | None = None


class Target(msgspec.Struct, frozen=True, gc=False):
    """What was acted on; of some only the name is known."""

    id: str | None = None


class Context(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What the headers repeat of the context."""

    job_id: str | None = None
    preceding_event_id: str | None = None


class Omitted(msgspec.Struct, frozen=True, gc=False):
    """What a stub says of its dead letter."""

    bytes: int
    sha256: str | None = None
    hmac_sha256: str | None = None


class Record(msgspec.Struct, frozen=True, gc=False):
    """An audit record, as far as it is held against anything.

    Attributes:
        context: None where there is none, or where it could not be read.
        payload_omitted: Only a stub has it.
    """

    schema: Literal["flatfile.audit/1"]
    id: str
    revision: Natural
    sequence: Natural
    observed: str
    actor: Actor
    environment: Reference
    time: str | None = None
    action: str | None = None
    target: Target | None = None
    context: Context | None = None
    payload_omitted: Omitted | None = None

    @property
    def at(self) -> datetime | None:
        """When it happened, in UTC, where that is known."""
        try:
            at = datetime.fromisoformat(self.time or "")
            if at.tzinfo is UTC:
                return at
            return None if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            return None


class UnreadableError(ValueError):
    """The bytes are no audit record of this version."""


_DECODE: Final = msgspec.json.Decoder(Record).decode
_REFUSALS: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
_OPEN_PARTS: Final = re.compile(
    rb',"(?:namespaces|event_target|context|attributes|origin|payload|extra|redacted|privacy)":'
)
"""Where the fixed members end: between quotes these bytes cannot stand unescaped."""
_STUB: Final = b',"payload_omitted":'


def read(value: bytes) -> Record:
    """Read a record that ends in a seal.

    Raises:
        UnreadableError: It is none.
    """
    try:
        return _DECODE(value)
    except _REFUSALS:
        return _without_open_parts(value)


def _without_open_parts(value: bytes) -> Record:
    opened = _OPEN_PARTS.search(value)
    if opened is None:
        raise UnreadableError
    fixed, body = value[: opened.start()], value[:-SEAL_BYTES]
    omitted = body.rfind(_STUB)
    if omitted >= 0:
        # If it is inside a payload, one brace too many follows, and the decoder refuses.
        with suppress(*_REFUSALS):
            return _DECODE(fixed + body[omitted:] + b"}")
    try:
        return _DECODE(fixed + b"}")
    except _REFUSALS as error:
        raise UnreadableError from error
