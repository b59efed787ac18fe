"""Pieces of records that are the same for many of them: written once, and kept.

An actor, a space, a topic or a target occurs in thousands of events. Its piece is kept until what
is known of it changes, or until there are too many pieces, when all are written anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
import orjson

from streamer.audit import cloudevents
from streamer.audit.actors import NAMED_TYPES, actor_type
from streamer.audit.cloudevents import Header
from streamer.audit.names import Named
from streamer.audit.record import entity, quoted
from streamer.audit.redaction import redact_text
from streamer.audit.targets import Target

if TYPE_CHECKING:
    from collections.abc import Hashable

    from streamer.audit.catalog import Topic
    from streamer.audit.privacy import Privacy
    from streamer.flatfile.models import Event

_KEPT: Final = 4096

_SHORT: Final = 64
"""Characters of a text that is kept: so short that it need not be cut, whatever is redacted."""

PERSONS: Final = frozenset(("guest", "user"))
"""Targets that are people."""

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class _Kept(dict[K, V], Generic[K, V]):
    """A cache that is emptied when it is full: its entries are cheap to make again."""

    def keep(self, key: K, value: V) -> V:
        """Put an entry in and return it."""
        if len(self) >= _KEPT:
            self.clear()
        self[key] = value
        return value


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Text of a record, the headers that go with them, and what they were made from."""

    text: str
    headers: tuple[Header, ...] = ()
    named: Named | None = None
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of all environments of an account: of each kind, up to a bound.

    One for a process, not one for an environment: of those there may be a thousand.
    """

    actions: _Kept[Topic, Piece] = field(default_factory=_Kept)
    actors: _Kept[str | None, Piece] = field(default_factory=_Kept)
    spaces: _Kept[str, Piece] = field(default_factory=_Kept)
    targets: _Kept[str | None, Piece] = field(default_factory=_Kept)
    domains: _Kept[str | None, str] = field(default_factory=_Kept)


def redacted(paths: tuple[str, ...]) -> bytes:
    """Return the record's member that says what was taken out."""
    return b',"redacted":' + orjson.dumps(paths)


def action_piece(topic: Topic, privacy: Privacy, *, outcome: str, severity: str) -> Piece:
    """Return what was done; a stub's topic may be unknown, and is then left out."""
    name = privacy.plain(topic.name)
    text = entity(
        action=name or None,
        category=privacy.plain(topic.category) or "unknown",
        operation=topic.operation,
        outcome=outcome,
        severity=severity,
    )
    return Piece("," + text[1:-1], (cloudevents.type_header(name),))


def actor_piece(actor_id: str | None, named: Named | None, privacy: Privacy) -> Piece:
    """Return who acted."""
    plain = privacy.plain
    person = privacy.person(named)
    kind = actor_type(actor_id)
    shown = plain(actor_id) or None
    email = redact_text(person.email) if person and person.email else None
    if kind not in NAMED_TYPES:
        text = entity(type=kind, id=shown, resolution="not_applicable")
    elif person is None:
        text = entity(type=kind, id=shown, resolution="unresolved")
    else:
        text = entity(
            type=kind,
            id=shown,
            name=plain(person.name),
            email=email,
            resolution=person.resolution,
            as_of=person.as_of,
        )
    return Piece(',"actor":' + text, cloudevents.actor_headers(kind, shown), named)


UNREAD_ACTOR: Final = Piece(
    ',"actor":' + entity(type="unknown", resolution="not_applicable"),
    cloudevents.actor_headers("unknown", None),
)
"""Of an event that could not be read: it may well have had an actor."""


def space_piece(
    space_id: str, named: Named | None, privacy: Privacy, people: tuple[str, ...] = ()
) -> Piece:
    """Return where it happened."""
    name = privacy.plain(named.name, people) if named else None
    return Piece(',"space":' + entity(id=privacy.plain(space_id), name=name), (), named)


def target_piece(
    target: Target, named: Named | None, privacy: Privacy, people: tuple[str, ...] = ()
) -> Piece:
    """Return what was acted on; nothing is left of it if neither id nor name is known."""
    shown = privacy.plain(target.id) or None
    known = named
    if named is not None and target.type in PERSONS:
        known = privacy.person(named)
    name = known.name if known and known.name else target.name
    if shown is None and name is None:
        return Piece("", (), named, target)
    text = ',"target":{"type":' + _cleared(target.type)
    headers: tuple[Header, ...] = ()
    if shown is not None:
        text += f',"id":{quoted(shown)}'
        headers = (("ce_subject", cloudevents.text(shown)),)
    if name is not None:
        is_usual = privacy.is_clear and len(name) <= _SHORT
        written = _cleared(name) if is_usual else quoted(privacy.plain(name, people) or "")
        text += f',"name":{written}'
    return Piece(text + "}", headers, named, target)


def _cleared(text: str) -> str:
    """Return a text without credentials as JSON."""
    return _short(text) if len(text) <= _SHORT else quoted(redact_text(text))


@lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return quoted(redact_text(text))


def lifecycle(event: Event, privacy: Privacy) -> str:
    """Return what happened to the event itself."""
    return ',"lifecycle":' + entity(
        deletedAt=privacy.plain(event.deleted_at),
        acknowledgedAt=privacy.plain(event.acknowledged_at),
        acknowledgedBy=privacy.plain(event.acknowledged_by),
    )


def policy(privacy: Privacy, paths: tuple[str, ...]) -> bytes:
    """Return the record's member that says which policy made it what it is."""
    said = {"policy": privacy.policy, "key_id": privacy.key_id, "replaced": paths}
    return b',"privacy":' + orjson.dumps({name: value for name, value in said.items() if value})
