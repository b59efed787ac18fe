"""The members of an event's open parts that the record needs: ids, names, states.

Decoded into one flat value, whatever else the part holds. Where a decoder refuses the part (a
member of another type, a lone surrogate, 1,000 levels), its members are cut apart and read one by
one, so that what can be read is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from streamer.flatfile import splitter

if TYPE_CHECKING:
    from msgspec import Raw


class Slugs(msgspec.Struct, frozen=True, gc=False):
    """The human-readable names of places, as far as the platform gives them."""

    space: str | None = None
    workbook: str | None = None
    sheet: str | None = None


class Context(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What may be read of a context, in the order in which the API sends it: that is faster."""

    slugs: Slugs | None = None
    action_name: str | None = None
    account_id: str | None = None
    environment_id: str | None = None
    space_id: str | None = None
    workbook_id: str | None = None
    sheet_id: str | None = None
    sheet_slug: str | None = None
    snapshot_id: str | None = None
    version_id: str | None = None
    commit_id: str | None = None
    job_id: str | None = None
    program_id: str | None = None
    file_id: str | None = None
    document_id: str | None = None
    preceding_event_id: str | None = None
    actor_id: str | None = None
    action_id: str | None = None
    data_clip_id: str | None = None
    thread_id: str | None = None
    canvas_id: str | None = None
    canvas_area_id: str | None = None
    agent_id: str | None = None
    entity_id: str | None = None


class Payload(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What may be read of a payload or an origin."""

    id: str | None = None
    name: str | None = None
    title: str | None = None
    label: str | None = None
    slug: str | None = None
    job: str | None = None
    status: str | None = None
    agent_id: str | None = None
    environment_id: str | None = None
    flag_id: str | None = None
    guest_id: str | None = None
    layer_id: str | None = None
    secret_id: str | None = None
    space_id: str | None = None


Part = TypeVar("Part", Context, Payload)

_USUAL_CONTEXT_BYTES: Final = 2048
NO_CONTEXT: Final = Context()
NO_PAYLOAD: Final = Payload()

_CONTEXT: Final = msgspec.json.Decoder(Context).decode
_PAYLOAD: Final = msgspec.json.Decoder(Payload).decode
_TEXT: Final = msgspec.json.Decoder(str).decode
_SLUGS: Final = msgspec.json.Decoder(Slugs).decode
_REFUSALS: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def context(part: Raw) -> Context:
    """Read a context: nothing, if it is no object or is absent."""
    if not len(part):
        return NO_CONTEXT
    try:
        found = _CONTEXT(part)
    except _REFUSALS:
        found = _singly(Context, bytes(part))
    if len(part) > _USUAL_CONTEXT_BYTES:
        texts = msgspec.structs.asdict(found)
        cut = {name: bounded(text) for name, text in texts.items() if isinstance(text, str)}
        found = msgspec.structs.replace(found, **cut)
    return found


LONGEST: Final = 256
"""Characters of an id or a name; what is longer is neither, and is cut."""


def bounded(text: str | None) -> str | None:
    """Return an id or a name, cut if it is longer than one can be."""
    return text if text is None or len(text) <= LONGEST else text[:LONGEST] + "…"


def payload(part: Raw) -> Payload:
    """Read a payload or an origin: nothing, if it is no object or is absent."""
    if not len(part):
        return NO_PAYLOAD
    try:
        return _PAYLOAD(part)
    except _REFUSALS:
        return _singly(Payload, bytes(part))


def _singly(kind: type[Part], part: bytes) -> Part:
    fields = {
        f'"{sent}"'.encode(): field
        for field, sent in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    }
    values: dict[str, str | Slugs] = {}
    try:
        for key, start, end in splitter.members(part):
            field = fields.get(key)
            if field is not None:
                try:
                    decode = _SLUGS if field == "slugs" else _TEXT
                    values[field] = decode(part[start:end])
                except _REFUSALS:
                    values.pop(field, None)
    except (splitter.TruncatedTextError, splitter.MisshapenTextError):
        pass
    return kind(**values)  # type: ignore[arg-type]


def member(part: Raw, name: str) -> str | None:
    """Read one member, of any name, that is a string."""
    sought, found = b'"%b"' % name.encode(), None
    try:
        for key, start, end in splitter.members(bytes(part)):
            if key == sought:
                found = _TEXT(bytes(part)[start:end])
    except (splitter.TruncatedTextError, splitter.MisshapenTextError, *_REFUSALS):
        pass
    return found
