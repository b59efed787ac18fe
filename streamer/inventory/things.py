"""An object of the API -> what the inventory says of it: pure, no I/O, no clock.

Credentials go, as they go from records, and personal data as the policy has it. Of an agent's
source stay digest and size: the same code in two environments has the same digest, and what runs
there is nobody's business who reads the topic.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streamer.audit.names import Named
from streamer.audit.redaction import redact
from streamer.flatfile.objects import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.audit.privacy import Privacy
    from streamer.flatfile.objects import Element, Kind

LARGEST_BYTES: Final = 256 * 1024
"""Of an object. What is larger is published without its largest members: a compacted topic is read
whole, and a broker that refuses one object would hold up all others."""

USAGE: Final = frozenset(
    ("filesCount", "lastAccessed", "lastActivityAt", "lastSeenAt", "workbooksCount")
)
"""Members that move whenever something is used: alone they are no change of the object."""

_PEOPLE: Final = frozenset(("guest", "user"))
_SOURCE, _SOURCE_MAP = "source", "sourceMap"


@dataclass(frozen=True, slots=True)
class Thing:
    """One object as the inventory has it.

    Attributes:
        environment_id: Where it is; itself, of an environment; None of a user.
        text: The object, as JSON with sorted keys.
        fingerprint: SHA-256 of that, in hex, without what is `USAGE`.
        omitted: Members that were too large.
        redacted: Paths of credentials that were taken out.
        replaced: Paths of personal data that was.
        sent_as: What `sent_as` says of the bytes that it was made of.
    """

    kind: Kind
    id: str
    environment_id: str | None
    text: bytes
    fingerprint: str
    omitted: tuple[str, ...]
    redacted: tuple[str, ...]
    replaced: tuple[str, ...]
    sent_as: int


def read_thing(
    kind: Kind, element: Element, privacy: Privacy, *, environment_id: str | None = None
) -> Thing | None:
    """Return what the inventory says of an object; None if it cannot be read.

    Args:
        kind: What it is.
        element: As it was listed.
        privacy: The policy on personal data.
        environment_id: The environment whose list it was in, for an object that names none.
    """
    try:
        members = _members(element.raw)
        return None if members is None else _thing(kind, element, members, privacy, environment_id)
    except (ValueError, RecursionError):
        return None


def sent_as(element: Element) -> int:
    """Return what two objects have in common, in one process, if they were sent as the same bytes.

    They need not be understood twice.
    """
    return hash(element.raw)


def spaces_of(members: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the spaces that a guest can reach."""
    spaces = members.get("spaces")
    if not isinstance(spaces, list):
        return ()
    ids = (space.get("id") for space in spaces if isinstance(space, dict))
    return tuple(dict.fromkeys(str(id_) for id_ in ids if is_id(id_)))


def _thing(
    kind: Kind,
    element: Element,
    members: dict[str, Any],
    privacy: Privacy,
    environment_id: str | None,
) -> Thing:
    named = members.get("id" if kind == "environment" else "environmentId")
    if kind == "agent":
        members = _without_source(members)
    people: tuple[str, ...] = ()
    if kind in _PEOPLE:
        name = members.get("name")
        people = (name,) if isinstance(name, str) else ()
        members = _shown(members, privacy)
    members, omitted = _bounded(members)
    safe = redact(_written(members), "object")
    shown = privacy.part(safe.text, "object", people)
    digested = _written(_without_usage(_members(shown.text)))
    return Thing(
        kind=kind,
        id=element.id,
        environment_id=named if is_id(named) else environment_id,
        text=shown.text,
        fingerprint=hashlib.sha256(digested).hexdigest(),
        omitted=privacy.paths(omitted, people),
        redacted=privacy.paths(safe.paths, people),
        replaced=shown.paths,
        sent_as=sent_as(element),
    )


def _without_source(members: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in members.items() if name not in (_SOURCE, _SOURCE_MAP)}
    source = members.get(_SOURCE)
    if isinstance(source, str):
        sent = source.encode("utf-8", "replace")
        kept[_SOURCE] = {"sha256": hashlib.sha256(sent).hexdigest(), "bytes": len(sent)}
    return kept


def _shown(members: dict[str, Any], privacy: Privacy) -> dict[str, Any]:
    """Return a person's members as the policy has them."""
    said = {key: members.get(key) for key in ("name", "email")}
    texts = {key: value for key, value in said.items() if isinstance(value, str)}
    person = privacy.person(Named("", texts.get("name"), texts.get("email")))
    kept = {key: value for key, value in members.items() if key not in texts}
    for key in texts:
        shown = getattr(person, key)
        if shown is not None:
            kept[key] = shown
    return kept


def _bounded(members: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Leave out the largest members, until what is left is small enough."""
    if len(_written(members)) <= LARGEST_BYTES:
        return members, ()
    sizes = {name: len(_written({name: value})) for name, value in members.items()}
    left = sum(sizes.values())
    omitted = []
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if left <= LARGEST_BYTES:
            break
        left -= sizes[name]
        omitted.append(name)
    kept = {name: members[name] for name in members if name not in omitted}
    return kept, tuple(name.encode("utf-8", "replace").decode() for name in sorted(omitted))


def _without_usage(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _without_usage(inner) for key, inner in value.items() if key not in USAGE}
    if isinstance(value, list):
        return [_without_usage(inner) for inner in value]
    return value


def _members(raw: bytes) -> dict[str, Any] | None:
    found = json.loads(
        raw.decode("utf-8", "replace"), parse_constant=lambda _: None, parse_float=_finite
    )
    return found if isinstance(found, dict) else None


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _written(members: Any) -> bytes:  # noqa: ANN401 - JSON
    text = json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "replace")  # A lone surrogate becomes `?`.
