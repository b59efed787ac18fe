"""The headers that make a record a CloudEvents 1.0 event in Kafka's binary mode.

Every value is UTF-8 text, for the sake of SDKs that decode them all. Extensions used: sequence,
partitioning, recordedtime, authcontext, correlation; and `revision`, our own, absent for 1.

Source: CloudEvents 1.0.2, Kafka protocol binding; extensions of the same repository.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, TypeAlias

from streamer.audit.actors import AUTH_TYPES, ActorType

Header: TypeAlias = tuple[str, bytes]

SCHEMA_ID: Final = "https://flatfile-streamer.invalid/schemas/audit-record-1.schema.json"
"""`$id` of the record's JSON Schema: a name, which can never resolve."""

_SOURCE: Final = "https://platform.flatfile.com/environments/"
"""Constant whatever the API's address is: the region is in the ids."""

_UNREAD: Final = "unknown"
"""Type of an event whose topic could not be read."""


def constant_headers(environment_id: str) -> tuple[Header, ...]:
    """Return what is the same for all records of an environment."""
    return (
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
        ("ce_source", text(_SOURCE + environment_id)),
        ("ce_dataschema", SCHEMA_ID.encode()),
        ("ce_partitionkey", text(environment_id)),
    )


def type_header(topic: str | None) -> Header:
    """Return the type: the topic with its case kept."""
    return ("ce_type", text("com.flatfile." + (topic or _UNREAD).replace(":", ".")))


def actor_headers(kind: ActorType, actor_id: str | None) -> tuple[Header, ...]:
    """Return who acted: the id alone, never a name."""
    authtype = ("ce_authtype", AUTH_TYPES[kind].encode())
    return (authtype, ("ce_authid", text(actor_id))) if actor_id else (authtype,)


def record_id(event_id: str, revision: int) -> str:
    """Return the id of one revision of an event's record."""
    return event_id if revision == 1 else f"{event_id}:{revision}"


def instant(sent: str) -> bytes | None:
    """Return a date-time as RFC 3339 with `Z`, None if it is none.

    What has the usual form already is returned as it was sent.
    """
    text = sent.encode("utf-8", "replace")
    shape = text.translate(_SHAPE)
    try:
        if shape == _USUAL_SHAPE:
            _parse(sent)
            return text
        if not _DATE_TIME.fullmatch(sent):
            return None
        moment = _parse(sent).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()


_parse: Final = datetime.fromisoformat
_SHAPE: Final = bytes(ord("0") if code in b"0123456789" else code for code in range(256))
_USUAL_SHAPE: Final = b"0000-00-00T00:00:00.000Z"
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)


def text(value: str) -> bytes:
    """Return a header's value; what UTF-8 cannot write is replaced."""
    return value.encode("utf-8", "replace")
