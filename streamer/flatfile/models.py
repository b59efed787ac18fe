"""Typed views of what the Flatfile API returns.

No I/O. A view names only what streamer reads; what it must keep as sent stays in `msgspec.Raw`, the
very bytes of the answer. Source of the shapes: Flatfile's public API reference.
"""

from __future__ import annotations

from typing import Final, NewType

import msgspec
from msgspec import Raw

EnvironmentId = NewType("EnvironmentId", str)
"""An environment's id, such as `us_env_Ab12Cd34`."""

ABSENT: Final = Raw(b"")
"""Stands for a member that the API did not send; `null` that it did send is `Raw(b"null")`."""


class Event(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """One element of `GET /events`, its open parts as raw bytes.

    Attributes:
        created_at: As sent; `Page.times` has it parsed.
        extra: A JSON object of the members that this version does not know, as sent. Never decoded
            from a member of that name: `pages` fills it.
    """

    id: str
    topic: str
    created_at: str
    domain: str | None = None
    deleted_at: str | None = None
    acknowledged_at: str | None = None
    acknowledged_by: str | None = None
    context: Raw = ABSENT
    payload: Raw = ABSENT
    attributes: Raw = ABSENT
    origin: Raw = ABSENT
    target: Raw = ABSENT
    namespaces: Raw = ABSENT
    callback_url: Raw = ABSENT
    data_url: Raw = ABSENT
    extra: Raw = msgspec.field(default=ABSENT, name=" extra")


class BrokenEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An element of `GET /events` that has no typed view: it becomes a dead letter and a stub.

    Attributes:
        raw: The element's bytes, as sent.
        reason: Why, as a word from a closed set (a metric label).
        id, topic, created_at: What could be read all the same.
    """

    raw: bytes
    reason: str
    id: str | None = None
    topic: str | None = None
    created_at: str | None = None


Row = Event | BrokenEvent
"""What a page consists of."""


class Environment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One environment of the account, from `GET /environments`."""

    id: str
    name: str = ""
    account_id: str | None = None
    is_prod: bool = False


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One user of the account, from `GET /users`."""

    id: str
    name: str | None = None
    email: str | None = None


class Guest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One guest, from `GET /guests`."""

    id: str
    name: str | None = None
    email: str | None = None
    environment_id: str | None = None


class Agent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One agent, from `GET /agents`, without its source."""

    id: str
    slug: str | None = None
    environment_id: str | None = None


class Space(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One space, from `GET /spaces`, without its credentials."""

    id: str
    name: str | None = None
    environment_id: str | None = None
