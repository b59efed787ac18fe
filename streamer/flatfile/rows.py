"""One element of `GET /events` -> `Event`, or `BrokenEvent` with the reason.

Whatever is valid JSON and has an id, a topic and a `createdAt`, each a string, is an `Event`: its
open parts are slices of what was sent, at any depth, with any number or escape in them. Members
that this version does not know, or that have another type than it expects, go into `Event.extra`.
Everything else is a `BrokenEvent`, with what could be read of it all the same.

No text in a row ever holds a lone surrogate: no encoder could write it back.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Raw

from streamer.flatfile import splitter
from streamer.flatfile.envelope import is_utf8
from streamer.flatfile.grammar import is_json
from streamer.flatfile.models import ABSENT, BrokenEvent, Event, Row

BrokenReason: TypeAlias = Literal[
    "not_utf8",
    "not_json",
    "not_an_object",
    "no_id",
    "no_topic",
    "no_created_at",
    "wrong_type",
    "lone_surrogate",
    "cut_off",
]
"""Why an element has no typed view. `wrong_type` and `lone_surrogate` are about its id, topic or
`createdAt`; anywhere else they do no harm. `cut_off`: only its beginning was read."""

_REQUIRED: Final[dict[str, tuple[str, BrokenReason]]] = {
    "id": ("id", "no_id"),
    "topic": ("topic", "no_topic"),
    "createdAt": ("created_at", "no_created_at"),
}
_OPTIONAL: Final = {
    "domain": "domain",
    "deletedAt": "deleted_at",
    "acknowledgedAt": "acknowledged_at",
    "acknowledgedBy": "acknowledged_by",
}
_OPEN: Final = {
    "context": "context",
    "payload": "payload",
    "attributes": "attributes",
    "origin": "origin",
    "target": "target",
    "namespaces": "namespaces",
    "callbackUrl": "callback_url",
    "dataUrl": "data_url",
}

_KNOWN: Final = _REQUIRED.keys() | _OPTIONAL.keys() | _OPEN.keys()
_NULL: Final = Raw(b"null")

_EVENT: Final = msgspec.json.Decoder(Event)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_REFUSALS: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def read_row(element: bytes) -> Row:
    """Read one element; raises nothing, whatever it holds, and takes time linear in its length."""
    if not is_utf8(element):
        return _broken(element, "not_utf8")
    try:
        event = _EVENT.decode(element)
    except _REFUSALS:
        pass
    else:
        if event.id and event.extra is ABSENT:
            return event  # An empty id is none, and `extra` is ours to fill, not the server's.
    return _read_closely(element)


def read_beginning(beginning: bytes) -> BrokenEvent:
    """Read the beginning of an element that is too large to be read whole.

    What is kept ends before a string that is cut: half a credential would not be recognised. Where
    there is no id, a digest of all that was read tells the element from others that begin alike.
    """
    kept = splitter.up_to_open_string(beginning)
    row = _broken(kept, "cut_off")
    if row.id:
        return row
    digest = hashlib.sha256(beginning).hexdigest().encode()
    return _broken(b'%b"sha256:%b' % (kept, digest), "cut_off")


def _read_closely(element: bytes) -> Row:
    try:
        known = _MEMBERS.decode(element)
    except _REFUSALS:
        if not is_json(element):
            return _broken(element, "not_json")
        if not element.startswith(b"{"):
            return _broken(element, "not_an_object")
        return _from_members(element, *_cut(element))
    length = 1 + 4 * len(known) + sum(map(len, known)) + sum(map(len, known.values()))
    if length != len(element):
        return _from_members(element, *_cut(element))
    # Not a byte is unaccounted for: no key twice, no escape in one, no white space. What a server
    # writes is so, and it is several times faster than cutting.
    unknown = [name for name in known if name not in _KNOWN]
    extra = [b'"%b":%b' % (name.encode(), bytes(known[name])) for name in unknown]
    return _from_members(element, known, extra)


def _cut(element: bytes) -> tuple[dict[str, Raw], list[bytes]]:
    """Return the known members of an object, and `"key":value` of each other one.

    Of what is no valid object, all up to where it stops looking like one.
    """
    known: dict[str, Raw] = {}
    extra: list[bytes] = []
    try:
        for key, begin, end in splitter.members(element):
            name = _text(key) or ""
            if name in _KNOWN:
                known[name] = Raw(element[begin:end])
            else:
                extra.append(b"%b:%b" % (key, element[begin:end]))
    except (splitter.TruncatedTextError, splitter.MisshapenTextError):
        pass
    return known, extra


def _from_members(element: bytes, known: dict[str, Raw], extra: list[bytes]) -> Row:
    texts: dict[str, str | None] = {}
    for name, (field, absent) in _REQUIRED.items():
        sent = known.get(name, _NULL)
        text = _text(sent)
        if sent == _NULL or (name == "id" and text == ""):
            return _broken(element, absent)
        if text is None:
            surrogate = bytes(sent).startswith(b'"')
            return _broken(element, "lone_surrogate" if surrogate else "wrong_type")
        texts[field] = text
    for name, field in _OPTIONAL.items():
        sent = known.get(name, _NULL)
        texts[field] = _text(sent)
        if texts[field] is None and sent != _NULL:
            extra.append(b'"%b":%b' % (name.encode(), bytes(sent)))
    opens = {field: known[name] for name, field in _OPEN.items() if name in known}
    if extra:
        opens["extra"] = Raw(b"{%b}" % b",".join(extra))
    return Event(**texts, **opens)  # type: ignore[arg-type]


def _broken(element: bytes, reason: BrokenReason) -> BrokenEvent:
    readable = element.decode(errors="replace").encode()
    texts = {
        _REQUIRED[name][0]: text
        for name, value in _cut(readable)[0].items()
        if name in _REQUIRED and (text := _text(value)) and "\N{REPLACEMENT CHARACTER}" not in text
    }
    return BrokenEvent(raw=element, reason=reason, **texts)


def _text(value: bytes | Raw) -> str | None:
    """Return the text of a JSON string; None for anything else, and for a lone surrogate."""
    try:
        return _TEXT.decode(value)
    except _REFUSALS:
        return None
