"""The forms of what the checkpoint topic holds: an environment's checkpoint, a shard's record.

`flatfile.checkpoint/1`. Instants are the server's, RFC 3339 with `Z`. A newer major version
is refused: what it means is not known here.
Members that this version does not know are ignored: additions keep the major version.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, Literal, NoReturn, TypeAlias, TypeVar

import msgspec

from streamer.errors import ShardRefusedError

SCHEMA: Final = "flatfile.checkpoint/1"
SHARD_SCHEMA: Final = "flatfile.shard/1"
SHARD_KEY: Final = b"_shard"
"""Key of a shard's record in its partition; no environment's id begins with an underscore."""

State: TypeAlias = Literal["polled", "forbidden", "resting"]
"""`forbidden`: answers 403. `resting`: gone for a while, no longer polled."""


class EnvironmentName(msgspec.Struct, frozen=True, omit_defaults=True):
    """An environment as the checkpoint names it."""

    id: str
    name: str | None = None


class Policy(msgspec.Struct, frozen=True):
    """What was not published, or not in the clear, since the last checkpoint.

    Attributes:
        exclude_topics: Glob patterns of topics that take no sequence number.
        personal_data: `clear`, `pseudonymize` or `drop`.
    """

    exclude_topics: tuple[str, ...] = ()
    personal_data: str = "clear"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an environment stands, committed with its records.

    Attributes:
        account: The account's id; None as long as it is unknown.
        sequence: Of the last record; 0 before the first.
        head: Hash of the last record, in hex; before the first, that of the environment's id.
        watermark: The newest `createdAt` proved complete; None before the first look ended.
        polled: When the last complete look began.
        swept: When the last completed sweep began.
        deep_swept: When the last completed deep sweep began; before the first, the first look.
        seen_from: How far back is known what has been seen.
        tail: Offset in the audit partition from which what has been seen can be read back.
        last: Offset of the last record there; None before the first, and from earlier versions.
        writer: Which worker wrote this.
    """

    environment: EnvironmentName
    state: State
    sequence: int
    head: str
    tail: int
    policy: Policy
    writer: str
    account: str | None = None
    last: int | None = None
    watermark: datetime | None = None
    polled: datetime | None = None
    swept: datetime | None = None
    deep_swept: datetime | None = None
    seen_from: datetime | None = None


class ShardRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a shard was begun with; every later owner must agree with it.

    Attributes:
        partitions: Partition count of every topic that is keyed by environment.
        audit_topic_id: The broker's id of the audit topic: another one is another log.
        start: Nothing older than this instant is published; None for everything.
    """

    account: str | None
    partitions: int
    audit_topic_id: str
    start: datetime | None = None


_T = TypeVar("_T", Checkpoint, ShardRecord)
_SCHEMA: Final = re.compile(r"(?P<name>[a-z.]+)/(?P<major>[0-9]+)")
_HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class _Versioned(msgspec.Struct, frozen=True):
    schema: str


def encode(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as published; its key is the environment's id."""
    return _tagged(SCHEMA, checkpoint)


def encode_shard(shard: ShardRecord) -> bytes:
    """Return a shard's record as published; its key is `SHARD_KEY`."""
    return _tagged(SHARD_SCHEMA, shard)


def decode(value: bytes, *, where: str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        value: A message of the checkpoint topic.
        where: What to call it in an error, such as topic, partition and offset.

    Raises:
        ShardRefusedError: It is none, or of a newer major version. Nothing may be written.
    """
    found = _decoded(value, Checkpoint, SCHEMA, where)
    if not _HEX_DIGEST.fullmatch(found.head) or found.sequence < 0 or found.tail < 0:
        _refuse_unread(where)
    return found


def decode_shard(value: bytes, *, where: str) -> ShardRecord:
    """Read a shard's record.

    Args:
        value: A message of the checkpoint topic.
        where: What to call it in an error, such as topic, partition and offset.

    Raises:
        ShardRefusedError: It is none, or of a newer major version. Nothing may be written.
    """
    return _decoded(value, ShardRecord, SHARD_SCHEMA, where)


def _tagged(schema: str, value: Checkpoint | ShardRecord) -> bytes:
    return b'{"schema":"%b",%b' % (schema.encode(), msgspec.json.encode(value)[1:])


def _decoded(value: bytes, kind: type[_T], schema: str, where: str) -> _T:
    try:
        found = msgspec.json.decode(value, type=_Versioned).schema
    except (msgspec.MsgspecError, UnicodeDecodeError):
        _refuse_unread(where)
    if found != schema:
        _refuse_version(found, schema, where)
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        _refuse_unread(where)


def _refuse_version(found: str, schema: str, where: str) -> NoReturn:
    ours, theirs = _SCHEMA.fullmatch(schema), _SCHEMA.fullmatch(found)
    if ours is None or theirs is None or ours["name"] != theirs["name"]:
        _refuse_unread(where)
    raise ShardRefusedError(
        where=where,
        what=f"written in the form {theirs['name']}/{theirs['major']}, this version knows {schema}",
        next_step="Run the version of streamer that wrote it, or a newer one.",
    )


def _refuse_unread(where: str) -> NoReturn:
    raise ShardRefusedError(
        where=where,
        what="not something that streamer writes to this topic",
        next_step="Find out who else writes to it, or choose another STREAMER_KAFKA__TOPIC_PREFIX.",
    )
