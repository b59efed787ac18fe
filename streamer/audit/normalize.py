"""What an event says, without names: the first of two steps from an event to its record.

`read` understands an event on its own: its topic, its target, which ids want names, and the parts
that are copied as they were sent, without the credentials in them. Whoever has looked the names up
hands both to `encoder.Encoder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw

from streamer.audit import credentials, members
from streamer.audit.actors import actor_type
from streamer.audit.catalog import Topic, describe
from streamer.audit.cloudevents import instant
from streamer.audit.identity import LONGEST_ID, identity
from streamer.audit.record import quoted
from streamer.audit.redaction import redact, redact_text
from streamer.audit.targets import Target, target
from streamer.flatfile.models import ABSENT, BrokenEvent, Event

if TYPE_CHECKING:
    from streamer.audit.names import Names
    from streamer.audit.privacy import Privacy
    from streamer.flatfile.models import Row

_NULL: Final = Raw(b"null")
_NULL_BYTES: Final = len(_NULL)
_EMPTY: Final = frozenset((0, _NULL_BYTES))
_NAMESPACES: Final = b',"namespaces":'
_TARGET: Final = b',"event_target":'
_FIRST_AT: Final = len(_NAMESPACES)
_ARRAY, _STRING = ord("["), ord('"')
_PARTS: Final = {
    "namespaces": "namespaces",
    "target": "event_target",
    "context": "context",
    "attributes": "attributes",
    "origin": "origin",
    "payload": "payload",
    "extra": "extra",
}
"""The open parts of an event, and what the record calls them."""


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event, understood but for the names.

    Attributes:
        time: `createdAt` in UTC with `Z`; None where it is no date-time.
        copied: The members of the record that are copied as sent, with names and leading commas.
        redacted: The paths of what was taken out of them.
        replaced: The paths of the personal data that was taken out of them.
        people: Full names that are to occur nowhere in the record.
        broken: The element, where it has no typed view; the event then holds what could be read.
        is_stub: Whether the record only stands for a dead letter.
    """

    event: Event
    revision: int
    topic: Topic
    time: bytes | None
    actor_id: str | None
    space_id: str | None
    target: Target
    job_id: str | None
    cause_id: str | None
    copied: bytes
    redacted: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    broken: BrokenEvent | None = None
    is_stub: bool = False

    @property
    def lookups(self) -> list[str]:
        """The ids whose names the record wants, its environment's aside; may repeat one."""
        wanted = [one for one in (self.actor_id, self.space_id) if one]
        found = self.target
        if found.looked_up and found.id and found.type != "environment":
            wanted.append(found.id)
        return wanted


def read(row: Row, revision: int = 1) -> Draft:
    """Understand one row of a page; raises nothing, whatever it holds."""
    if isinstance(row, BrokenEvent):
        return _read_broken(row, revision)
    event = row if len(row.id) <= LONGEST_ID else _with_digest_for_id(row)
    topic = describe(event.topic)
    time = instant(event.created_at)
    copied = _copied(event, time)
    redacted: tuple[str, ...] = ()
    of_secret = topic.category == "secret"
    if of_secret or credentials.suspect(copied):
        event, redacted = _without_credentials(event, of_secret=of_secret)
        copied = _copied(event, time)
    context = members.context(event.context)
    return Draft(
        event,
        revision,
        topic,
        time,
        context.actor_id,
        context.space_id,
        target(event, topic, context),
        context.job_id,
        context.preceding_event_id,
        copied,
        redacted,
    )


def without_personal_data(draft: Draft, names: Names, privacy: Privacy) -> Draft:
    """Take out of a draft what the policy does not let out.

    Names are known as far as they were looked up: the actor's, and the target's if it is a person.
    """
    known = [names.get(one) for one in (draft.actor_id, draft.target.id) if one]
    people = tuple(one.name for one in known if one and one.name and _is_person(one.id))
    changed: dict[str, Raw] = {}
    paths: list[str] = []
    for field, path in _PARTS.items():
        cleaned = privacy.part(bytes(getattr(draft.event, field)), path, people)
        if cleaned.paths:
            changed[field] = Raw(cleaned.text)
            paths += cleaned.paths
    event = msgspec.structs.replace(draft.event, **changed)
    if draft.time is None:
        event = msgspec.structs.replace(event, created_at=privacy.plain(event.created_at) or "")
    if "context" in changed:
        # The headers repeat these: what may not stand in the record may not stand there either.
        context = members.context(event.context)
        draft = msgspec.structs.replace(
            draft, job_id=context.job_id, cause_id=context.preceding_event_id
        )
    return msgspec.structs.replace(
        draft,
        event=event,
        copied=draft.copied if draft.broken else _copied(event, draft.time),
        redacted=privacy.paths(draft.redacted, people),
        replaced=tuple(paths),
        people=people,
    )


def _is_person(id_: str) -> bool:
    return actor_type(id_) in ("user", "guest")


def _read_broken(row: BrokenEvent, revision: int) -> Draft:
    event = Event(id=identity(row), topic=row.topic or "", created_at=row.created_at or "")
    topic = describe(event.topic)
    return Draft(
        event,
        revision,
        topic,
        instant(event.created_at),
        actor_id=None,
        space_id=None,
        target=Target(topic.target, None),
        job_id=None,
        cause_id=None,
        copied=b"",
        redacted=(),
        broken=row,
    )


def _with_digest_for_id(event: Event) -> Event:
    unknown = bytes(event.extra)[1:-1]
    members = [b'"id":' + quoted(event.id).encode(), *([unknown] if unknown else [])]
    return msgspec.structs.replace(
        event, id=identity(event), extra=Raw(b"{%b}" % b",".join(members))
    )


def _copied(event: Event, time: bytes | None) -> bytes:
    """Return the members that are copied: of most events all parts, and nothing else."""
    namespaces, aim, context = event.namespaces, event.target, event.context
    attributes, origin, payload = event.attributes, event.origin, event.payload
    sizes = (
        (length := len(namespaces)),
        len(aim),
        len(context),
        len(attributes),
        len(origin),
        len(payload),
    )
    if time is not None and event.extra is ABSENT and _EMPTY.isdisjoint(sizes):
        copied = b"".join(
            (
                _NAMESPACES,
                namespaces,
                _TARGET,
                aim,
                b',"context":',
                context,
                b',"attributes":',
                attributes,
                b',"origin":',
                origin,
                b',"payload":',
                payload,
            )
        )
        # Bytes of a page cannot be looked into but by copying them.
        if copied[_FIRST_AT] == _ARRAY and copied[_FIRST_AT + length + len(_TARGET)] == _STRING:
            return copied
    return _copied_singly(event, time)


def _copied_singly(event: Event, time: bytes | None) -> bytes:
    pieces: list[Raw | bytes] = []
    rest: tuple[bytes, ...] = ()
    if len(event.target) != _NULL_BYTES or event.namespaces is not ABSENT:
        rest = _place_typed(event, pieces)
    # The length is asked for first: comparing bytes of a page with `null` costs ten times as much.
    if (size := len(part := event.context)) and (size != _NULL_BYTES or part != _NULL):
        pieces += (b',"context":', part)
    if (size := len(part := event.attributes)) and (size != _NULL_BYTES or part != _NULL):
        pieces += (b',"attributes":', part)
    if (size := len(part := event.origin)) and (size != _NULL_BYTES or part != _NULL):
        pieces += (b',"origin":', part)
    if (size := len(part := event.payload)) and (size != _NULL_BYTES or part != _NULL):
        pieces += (b',"payload":', part)
    if rest or time is None or event.extra is not ABSENT:
        pieces.append(_extra(event, time, rest))
    return b"".join(pieces)


def _place_typed(event: Event, pieces: list[Raw | bytes]) -> tuple[bytes, ...]:
    """Place what has a member of its own if it is of the documented type; return what is not."""
    rest: tuple[bytes, ...] = ()
    namespaces = bytes(event.namespaces)
    if namespaces[:1] == b"[":
        pieces += (_NAMESPACES, namespaces)
    elif namespaces and namespaces != b"null":
        rest += (b'"namespaces":' + namespaces,)
    if event.target != _NULL and event.target is not ABSENT:
        aim = bytes(event.target)
        if aim[:1] == b'"':
            pieces += (_TARGET, aim)
        else:
            rest += (b'"target":' + aim,)
    return rest


def _extra(event: Event, time: bytes | None, rest: tuple[bytes, ...]) -> bytes:
    """Return the members of the event that have no other place in the record."""
    if time is None:
        rest += (b'"createdAt":' + quoted(redact_text(event.created_at)).encode(),)
    if event.extra is not ABSENT:
        rest += (bytes(event.extra)[1:-1],)
    return b',"extra":{%b}' % b",".join(rest)


def _without_credentials(event: Event, *, of_secret: bool) -> tuple[Event, tuple[str, ...]]:
    changed: dict[str, Raw] = {}
    paths: list[str] = []
    for field, path in _PARTS.items():
        part = bytes(getattr(event, field))
        if part and (of_secret or credentials.suspect(part)):
            redacted = redact(part, path, of_secret=of_secret)
            if redacted.paths:
                changed[field] = Raw(redacted.text)
                paths += redacted.paths
    return msgspec.structs.replace(event, **changed), tuple(paths)
