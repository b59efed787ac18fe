"""Answers about users, guests, agents, spaces and environments -> typed objects, leniently.

Unknown members are ignored, a member of another type counts as absent, and an element without an id
is left out: names are a service to the reader, and must not hold up a record. Nothing else of an
object is kept, above all none of the live credentials that a space carries.
"""

from __future__ import annotations

import json
import re
from typing import Final, TypeVar

import msgspec

from streamer.flatfile.envelope import elements_of
from streamer.flatfile.models import Agent, Environment, Guest, Space, User

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

T = TypeVar("T", Agent, Environment, Guest, Space, User)


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
        return self.total_count is None or items >= self.total_count


class _Paged(msgspec.Struct):
    pagination: Pagination


def is_id(value: object) -> bool:
    """Tell whether a value may go into a URL as an id.

    A crafted one (`../environments`) walks to another endpoint with the account's token.
    """
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_list(body: bytes, kind: type[T]) -> list[T]:
    """Return the objects of an answer with a list.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`.
    """
    found = (read_element(element, kind) for element in elements_of(body))
    return [item for item in found if item is not None]


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
    try:
        members = json.loads(element.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
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
