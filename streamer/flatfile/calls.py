"""What is asked of the API: a list's pages, one object. No I/O.

Ids come from the API and are hostile until they match a pattern; none that does not ever gets into
a URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamer.errors import FlatfileNotFoundError
from streamer.flatfile.budget import Priority
from streamer.flatfile.objects import is_id
from streamer.flatfile.transport import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamer.flatfile.objects import Kind, ListKey

_PLACES: Final[Mapping[Kind, str]] = {
    "space": "environmentId",
    "agent": "environmentId",
    "guest": "spaceId",
}
"""What each list calls the place that it is of."""


def list_call(
    which: ListKey, *, archived: bool | None, priority: Priority
) -> Callable[[int, int], Call]:
    """Return what makes the request for a page of a list, by its size and its number.

    Raises:
        FlatfileNotFoundError: The place that it is of has no id.
    """
    path = f"/{which.kind}s"
    where = f"GET {path}"
    query: dict[str, str] = {}
    if which.within is not None:
        query[_PLACES[which.kind]] = checked_id(where, which.within)
    if archived is not None:
        query["archived"] = "true" if archived else "false"

    def call(size: int, number: int) -> Call:
        paged = {"pageSize": str(size), "pageNumber": str(number)}
        # The guests of a space are one page.
        own = query if which.kind == "guest" else {**query, **paged}
        return Call(f"list_{which.kind}s", where, path, own, priority)

    return call


def call_for_one(operation: str, where: str, identifier: str, query: Mapping[str, str]) -> Call:
    """Return the request for one object.

    Args:
        operation: Its name in metrics.
        where: Such as `GET /users/{id}`.
        identifier: Hostile.
        query: What else is asked.

    Raises:
        FlatfileNotFoundError: It is no id.
    """
    path = where.removeprefix("GET ").replace("{id}", checked_id(where, identifier))
    return Call(operation, where, path, query, Priority.LIVE)


def checked_id(where: str, identifier: str) -> str:
    """Return an id that may go into a URL.

    Raises:
        FlatfileNotFoundError: It is none, so nothing can have it; it is not quoted.
    """
    if not is_id(identifier):
        raise FlatfileNotFoundError(
            where=where, what="not an id, so it was not asked for", next_step="Nothing to do."
        )
    return identifier
