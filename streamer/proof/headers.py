"""Holds a record's headers against the record: they make it a CloudEvents 1.0 event.

Headers that this version does not know are nobody's promise, and are passed over.

Source: CloudEvents 1.0.2, Kafka protocol binding; extensions of the same repository.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.proof.record import Record

Headers: TypeAlias = "Sequence[tuple[str, bytes | None]]"
"""As they lie in the topic; Kafka has headers without a value."""

_SOURCE: Final = b"https://platform.flatfile.com/environments/"
_SCHEMA: Final = b"https://flatfile-streamer.invalid/schemas/audit-record-1.schema.json"
_UNKNOWN: Final = ("ce_authtype", b"unknown")
_AUTH_TYPES: Final = {
    "user": ("ce_authtype", b"user"),
    "access_token": ("ce_authtype", b"user"),
    "guest": ("ce_authtype", b"app_user"),
    "agent": ("ce_authtype", b"service_account"),
    "api_key": ("ce_authtype", b"api_key"),
    "system": ("ce_authtype", b"system"),
    "unknown": _UNKNOWN,
}
_OPTIONAL: Final = ("ce_revision", "ce_time", "ce_subject", "ce_authid")
"""Must not be there where the record has nothing to say in them."""

_OF_CONTEXT: Final = ("ce_correlationid", "ce_causationid")
"""The same, where the context can be read."""

_LONGEST: Final = 256
"""Characters of an id from the context that a header is sure to repeat."""

_KEPT: Final = 4096
"""Of headers that many records have in common."""

_USUAL_TIME_LENGTH: Final = len("2026-01-01T00:00:00.000Z")


def contradictions(record: Record, headers: Headers) -> list[str]:
    """Return in words what the headers say otherwise than the record; nearly always nothing."""
    expected = _expected(record)
    if expected == list(headers):
        return []
    # Their order is nobody's promise: each by its name.
    return _compared(record, dict(expected), headers)


def _expected(record: Record) -> list[tuple[str, bytes]]:
    """What the headers must be, in the order in which they are nearly always there."""
    actor, target, context = record.actor, record.target, record.context
    expected = [
        *_of_environment(record.environment.id),
        ("ce_recordedtime", record.observed.encode()),
        _type(record.action),
        _AUTH_TYPES.get(actor.type, _UNKNOWN),
    ]
    if actor.id is not None:
        expected.append(("ce_authid", actor.id.encode()))
    if target is not None and target.id is not None:
        expected.append(("ce_subject", target.id.encode()))
    expected.append(("ce_sequence", b"%019d" % record.sequence))
    if record.revision == 1:
        expected.append(("ce_id", record.id.encode()))
    else:
        expected.append(("ce_id", b"%s:%d" % (record.id.encode(), record.revision)))
        expected.append(("ce_revision", b"%d" % record.revision))
    if context is not None:
        if context.job_id:
            expected.append(("ce_correlationid", context.job_id.encode()))
        if context.preceding_event_id:
            expected.append(("ce_causationid", context.preceding_event_id.encode()))
    if record.time is not None:
        expected.append(("ce_time", _time(record, record.time)))
    return expected


@lru_cache(_KEPT)
def _of_environment(environment_id: str) -> tuple[tuple[str, bytes], ...]:
    environment = environment_id.encode()
    return (
        ("ce_specversion", b"1.0"),
        ("content-type", b"application/json"),
        ("ce_source", _SOURCE + environment),
        ("ce_dataschema", _SCHEMA),
        ("ce_partitionkey", environment),
    )


@lru_cache(_KEPT)
def _type(action: str | None) -> tuple[str, bytes]:
    return "ce_type", b"com.flatfile." + (action or "unknown").replace(":", ".").encode()


def _compared(record: Record, expected: Mapping[str, bytes], headers: Headers) -> list[str]:
    optional = _OPTIONAL if record.context is None else (*_OPTIONAL, *_OF_CONTEXT)
    wrong = []
    for name in dict.fromkeys((*expected, *optional)):
        values = [value for found, value in headers if found == name]
        wanted = expected.get(name)
        if wanted is None:
            if values:
                wrong.append(f"{name} is {_shown(values)}, and the record has nothing for it")
        elif values != [wanted] and not _is_cut(name, values, wanted):
            said = _shown(values) if values else "missing"
            wrong.append(f"{name} is {said}, and the record says {_shown([wanted])}")
    return wrong


def _is_cut(name: str, values: list[bytes | None], wanted: bytes) -> bool:
    """Whether a header is the beginning of an id that is too long to be one."""
    text = wanted.decode()
    return (
        name in _OF_CONTEXT and len(text) > _LONGEST and values == [f"{text[:_LONGEST]}…".encode()]
    )


def _time(record: Record, time: str) -> bytes:
    if len(time) == _USUAL_TIME_LENGTH and time.endswith("Z"):
        return time.encode()
    at = record.at
    if at is None:
        return time.encode()
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z").encode()


def _shown(values: Sequence[bytes | None]) -> str:
    return ", ".join((value or b"").decode("utf-8", "backslashreplace") for value in values)
