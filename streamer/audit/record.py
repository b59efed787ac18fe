"""The audit record as bytes: how its members are written, and what a restart reads of it.

`flatfile.audit/1`: fixed members first, then what is copied as it was sent, then what was done to
it, then the seal. That order lets a reader that a decoder deserts (a lone surrogate or 1,000 levels
somewhere in a payload) cut the fixed members off and still understand them.
"""

from __future__ import annotations

import json
import re
from typing import Final

import msgspec
import orjson

from streamer.audit import chain

SCHEMA: Final = "flatfile.audit/1"


def quoted(text: str) -> str:
    """Return a string as JSON; a lone surrogate, which UTF-8 cannot hold, stays an escape."""
    if text.isascii() and text.isidentifier():  # One word, such as an id: nothing to escape.
        return f'"{text}"'
    try:
        return orjson.dumps(text).decode()
    except TypeError:
        return json.dumps(text)


def entity(**texts: str | None) -> str:
    """Return an object of those that are not None; lone surrogates as `quoted` has them."""
    known = {name: text for name, text in texts.items() if text is not None}
    try:
        return orjson.dumps(known).decode()
    except TypeError:
        return json.dumps(known, separators=(",", ":"))


class EnvironmentRef(msgspec.Struct, frozen=True, gc=False):
    """A record's environment."""

    id: str


class Lifecycle(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What happened to the event itself, as sent."""

    deleted_at: str | None = None
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None


NOTHING_HAPPENED: Final = Lifecycle()


class Restored(msgspec.Struct, frozen=True, gc=False):
    """What a restart needs of a record.

    Attributes:
        time: The event's `createdAt`, where it is a date-time.
        previous: The hash of the record before it, 32 bytes.
        digest: Its own.
    """

    id: str
    revision: int
    sequence: int
    environment: EnvironmentRef
    time: str | None = None
    action: str | None = None
    lifecycle: Lifecycle = NOTHING_HAPPENED
    previous: bytes = msgspec.field(default=b"", name=" previous")
    digest: bytes = msgspec.field(default=b"", name=" digest")


_HEAD: Final = msgspec.json.Decoder(Restored)
_COPIED: Final = re.compile(
    rb',"(?:namespaces|event_target|context|attributes|origin|payload|extra|payload_omitted'
    rb'|redacted|privacy|integrity)":'
)
"""Where the fixed members end: between quotes these bytes cannot stand unescaped."""


class NoRecordError(ValueError):
    """The bytes are not an audit record that this version can read."""


def restore(record: bytes) -> Restored:
    """Read from a published record what a restart needs.

    Raises:
        NoRecordError: It is none, or of another major version.
    """
    if not record.startswith(_BEGINNING):
        raise NoRecordError
    try:
        previous, digest = chain.hashes(record)
    except chain.UnsealedError as error:
        raise NoRecordError from error
    # What stands between the fixed members and the end need not be read, if the cut is right; if
    # it is inside a payload, one brace does not close it, and the decoder refuses.
    cut = record.find(b',"context":')
    try:
        restored = _HEAD.decode(record[:cut] + b"}" if cut > 0 else record)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        restored = _cut_off(record)
    msgspec.structs.force_setattr(restored, "previous", previous)
    msgspec.structs.force_setattr(restored, "digest", digest)
    return restored


_BEGINNING: Final = b'{"schema":"%b",' % SCHEMA.encode()


def _cut_off(record: bytes) -> Restored:
    copied = _COPIED.search(record)
    if copied is None:
        raise NoRecordError
    try:
        return _HEAD.decode(record[: copied.start()] + b"}")
    except msgspec.MsgspecError as error:
        raise NoRecordError from error
