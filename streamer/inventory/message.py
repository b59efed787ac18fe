"""The messages of the inventory topic: one object under `kind/id`, nothing once it is gone. Pure.

`schemas/inventory-1.schema.json` describes the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import orjson

from streamer.audit.fragments import policy, redacted
from streamer.flatfile.objects import Kind, is_id

if TYPE_CHECKING:
    from streamer.audit.privacy import Privacy
    from streamer.inventory.things import Thing

SCHEMA: Final = "flatfile.inventory/1"

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Place(msgspec.Struct, frozen=True):
    """What has an id: the account, an environment."""

    id: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A value, as it is read back.

    Attributes:
        first_seen: When it was first listed, RFC 3339.
        last_seen: When it was listed as it stands here.
        observed_only: Whether no event told of the change; None: not known.
    """

    schema: Literal["flatfile.inventory/1"]
    kind: Kind
    id: str
    account: Place | None = None
    environment: Place | None = None
    first_seen: str
    last_seen: str
    fingerprint: str
    observed_only: bool | None = None
    omitted: tuple[str, ...] = ()
    object: dict[str, Any]
    redacted: tuple[str, ...] = ()
    privacy: dict[str, Any] | None = None

    @property
    def environment_id(self) -> str | None:
        """Where it is; None of what belongs to the account."""
        return None if self.environment is None else self.environment.id


_DECODE: Final = msgspec.json.Decoder(Message).decode


def key_of(kind: Kind, id_: str) -> bytes:
    """Return what an object's messages are known by."""
    return f"{kind}/{id_}".encode()


def read_key(key: bytes) -> tuple[Kind, str] | None:
    """Return kind and id of a key; None if it is none of ours."""
    sent, _, id_ = key.decode("utf-8", "replace").partition("/")
    kind = next((kind for kind in KINDS if kind == sent), None)
    return (kind, id_) if kind is not None and is_id(id_) else None


def encode(
    thing: Thing,
    *,
    account_id: str,
    privacy: Privacy,
    first_seen: str,
    last_seen: str,
    observed_only: bool | None,
) -> bytes:
    """Return the value that is published of an object.

    Args:
        thing: The object.
        account_id: Whose it is.
        privacy: The policy under which it was read.
        first_seen: When it was first listed.
        last_seen: When it was listed like this.
        observed_only: Whether no event told of the change; None: not known.
    """
    head: dict[str, object] = {"schema": SCHEMA, "kind": thing.kind, "id": thing.id}
    if account_id:
        head["account"] = {"id": account_id}
    if thing.environment_id is not None:
        head["environment"] = {"id": thing.environment_id}
    head |= {"first_seen": first_seen, "last_seen": last_seen, "fingerprint": thing.fingerprint}
    if observed_only is not None:
        head["observed_only"] = observed_only
    if thing.omitted:
        head["omitted"] = thing.omitted
    parts = [orjson.dumps(head)[:-1], b',"object":', thing.text]
    if thing.redacted:
        parts.append(redacted(thing.redacted))
    if not privacy.is_clear:
        parts.append(policy(privacy, thing.replaced))
    return b"".join((*parts, b"}"))


def decode(value: bytes) -> Message | None:
    """Read a value back; None if it is none of ours, or of a version that we cannot read."""
    try:
        return _DECODE(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
