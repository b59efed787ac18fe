"""What an event acted on: type, id and name.

The catalog says which member holds the id; it is looked for in the context, then in the payload,
then the object may be the payload itself (a canvas), or the event's origin. Names are what the
event calls its object; those of spaces, environments, agents and guests are looked up by whoever
encodes the record, for the event does not know them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from streamer.audit import members
from streamer.audit.actors import actor_type
from streamer.audit.members import bounded

if TYPE_CHECKING:
    from streamer.audit.catalog import Topic
    from streamer.audit.members import Context
    from streamer.flatfile.models import Event


class Target(msgspec.Struct, frozen=True, gc=False):
    """What was acted on.

    Attributes:
        name: As the event has it.
        looked_up: Whether a directory knows the name better.
        has_failed: Whether it is a job that says of itself that it failed.
    """

    type: str
    id: str | None
    name: str | None = None
    looked_up: bool = False
    has_failed: bool = False


_FIELDS: Final = dict(
    zip(members.Context.__struct_encode_fields__, members.Context.__struct_fields__, strict=True)
)
_NAMED_ELSEWHERE: Final = frozenset(("space", "environment", "agent", "guest"))
_NAMED_BY_CONTEXT: Final = frozenset(("sheet", "commit", "layer", "snapshot"))
_GUEST_ID: Final = re.compile(rb'"([a-z]{2,4}_g_[A-Za-z0-9_-]+)"')


def target(event: Event, topic: Topic, context: Context) -> Target:
    """Return what the event acted on; without id if nothing names it."""
    kind = topic.target
    field = _FIELDS.get(topic.target_id)
    found = getattr(context, field) if field else None
    if kind in _NAMED_ELSEWHERE:
        return _known(event, kind, context, found)
    if found is not None and kind in _NAMED_BY_CONTEXT:
        return Target(kind, found, bounded(_slug(kind, context)))
    payload = members.payload(event.payload)
    if kind == "job":
        return Target(kind, found or payload.id, payload.job, has_failed=payload.status == "failed")
    if found is None:
        found = members.member(event.payload, topic.target_id)
    if found is None and kind == "commit":
        found = context.version_id
    found = found or context.entity_id or payload.id
    name = payload.name or payload.title or payload.label
    if name is None:
        name = context.action_name if kind == "action" else _slug(kind, context) or payload.slug
    if name is None or found is None:
        origin = members.payload(event.origin)
        found = found or origin.id
        if name is None and origin.id == found:
            name = origin.name or origin.slug
    if found is None and kind == "layer":  # Events of a layer name but the sheet that it lies on.
        return Target("sheet", context.sheet_id, bounded(_slug("sheet", context)))
    return Target(kind, bounded(found), bounded(name))


def _known(event: Event, kind: str, context: Context, found: str | None) -> Target:
    """Return a target whose name a directory knows."""
    if kind == "guest":
        found = _guest(event, context)
        if found is None:
            kind, found = "space", context.space_id
    elif kind == "environment":
        payload = members.payload(event.payload)
        found = bounded(payload.environment_id) or found
        return Target(kind, found, bounded(payload.name), looked_up=True)
    elif found is None:
        payload = members.payload(event.payload)
        found = payload.agent_id if kind == "agent" else payload.space_id
    return Target(kind, bounded(found), looked_up=True)


def _guest(event: Event, context: Context) -> str | None:
    """Return the guest: whom the payload names, else the actor, if that is a guest."""
    named = members.payload(event.payload).guest_id
    if named:
        return named
    if found := _GUEST_ID.search(event.payload):
        return found[1].decode()
    return context.actor_id if actor_type(context.actor_id) == "guest" else None


def _slug(kind: str, context: Context) -> str | None:
    slugs = context.slugs
    if kind == "sheet":
        return context.sheet_slug or (slugs.sheet if slugs else None)
    return slugs.workbook if slugs and kind == "workbook" else None
