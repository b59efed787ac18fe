"""Answers about users, guests, agents, spaces and environments -> objects, leniently.

An object is handed on as its bytes with its id; `read_element` makes a typed view of it. Unknown
members are ignored then, and a member of another type counts as absent: names are a service to the
reader, and must not hold up a record. A typed view has none of the live credentials of a space.
"""

from __future__ import annotations

import json
import re
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

import msgspec

from streamer.flatfile.envelope import elements_of
from streamer.flatfile.models import Agent, Environment, Guest, Space, User

Kind: TypeAlias = Literal["environment", "space", "agent", "user", "guest"]
"""What an account holds."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

T = TypeVar("T", bound=Agent | Environment | Guest | Space | User)


class ListKey(NamedTuple):
    """One list of the account.

    Attributes:
        kind: What is in it.
        within: Of guests the space, of agents and spaces the environment, that has them.
    """

    kind: Kind
    within: str | None = None


class Element(NamedTuple):
    """One object of a list, as sent."""

    id: str
    raw: bytes


class ListPage(NamedTuple):
    """What one answer shows of a list.

    Attributes:
        ignored: Objects whose id is none, so that nothing can have been published of them.
        is_sound: Whether it could be told of all others which they are.
    """

    elements: list[Element]
    ignored: int
    is_sound: bool


class Pagination(msgspec.Struct, rename="camel"):
    """What a list says of its pages, if it does.

    Attributes:
        page_count: How many pages there are.
        total_count: How many objects are on them.
    """

    page_count: int | None = None
    total_count: int | None = None

    def ends_with(self, *, page: int, items: int) -> bool:
        """Tell whether nothing follows a page with which `items` objects are known.

        The number of pages alone is not believed: it may be meant for the size that was asked for
        while fewer are given at once.
        """
        if not self.page_count or page < self.page_count:
            return False
        return self.has_all(items)

    def has_all(self, items: int) -> bool:
        """Tell whether these are as many objects as the list says that it has, if it does."""
        return self.total_count is None or items >= self.total_count


class _Paged(msgspec.Struct):
    pagination: Pagination


class _Identified(msgspec.Struct):
    id: str


def is_id(value: object) -> bool:
    """Tell whether a value may go into a URL as an id.

    A crafted one (`../environments`) walks to another endpoint with the account's token.
    """
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_page(body: bytes) -> ListPage:
    """Return the objects of an answer with a list.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`.
    """
    elements: list[Element] = []
    ignored, is_sound = 0, True
    for raw in elements_of(body):
        id_ = _id_of(raw)
        if is_id(id_):
            elements.append(Element(str(id_), raw))
        elif isinstance(id_, str):
            ignored += 1
        else:
            is_sound = False
    return ListPage(elements, ignored, is_sound)


def read_pagination(body: bytes) -> Pagination:
    """Return what a list says of its pages, which may be nothing."""
    try:
        return msgspec.json.decode(body, type=_Paged).pagination
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return Pagination()


def read_element(element: bytes, kind: type[T]) -> T | None:
    """Return one object, or None if it has no id."""
    try:
        return msgspec.json.decode(element, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    members = _leniently(element)
    if members is None:
        return None
    readable = {}
    for field in msgspec.structs.fields(kind):
        value = members.get(field.encode_name)
        if isinstance(value, str):
            value = value.encode(errors="replace").decode()  # A lone surrogate becomes `?`.
        try:
            readable[field.name] = msgspec.convert(value, field.type)
        except msgspec.ValidationError:
            continue
    return kind(**readable) if is_id(readable.get("id")) else None


def _id_of(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw, type=_Identified).id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return (_leniently(raw) or {}).get("id")


def _leniently(raw: bytes) -> dict[str, object] | None:
    try:
        members = json.loads(raw.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None
