"""The forms that answers of the API have, and how a query is read.

An answer that is an error is raised as `AnswerError` wherever it is noticed; the server turns it
into a response with the documented body.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.sandbox.ledger import Shown
    from streamer.sandbox.world import World

JSON: Final = "application/json"

MOST_PAGES: Final = 1 << 40

DRY: Final = web.RequestKey("dry", bool)
"""Set on a request whose answer is made for its bytes only: it is not sent, and shows nothing."""


class AnswerError(Exception):
    """The API refuses: the response is an error in the documented form."""

    def __init__(self, status: int, key: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.key = key


def refusal(error: AnswerError) -> web.Response:
    """Return an error as the API sends it."""
    return json_answer({"errors": [{"key": error.key, "message": str(error)}]}, error.status)


def json_answer(content: object, status: int = 200) -> web.Response:
    """Return a JSON body."""
    return web.Response(body=orjson.dumps(content), status=status, content_type=JSON)


async def show(request: web.Request, body: bytes, shown: Shown, world: World) -> web.Response:
    """Send a page of events, and enter it into the ledger once its last byte has left.

    "Left" is: handed to the kernel, whose send buffer the server keeps small. A reader that goes
    away before it read the page up to there was not shown it.
    """
    if request.get(DRY):
        return web.Response(body=body, content_type=JSON)
    transport = request.transport
    if transport is not None:
        # Nothing is held back in the process: what is written has left, or the write waits.
        transport.set_write_buffer_limits(high=0)
    response = web.Response(body=body, content_type=JSON)
    await response.prepare(request)
    await response.write_eof()
    # A connection that ends without an error while we wait ends the wait as well.
    if transport is not None and not transport.is_closing():
        world.ledger.enter(shown, world.now_ms())
    return response


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page was asked for, after the server's cap."""

    number: int
    size: int

    @property
    def start(self) -> int:
        """The position of the page's first row."""
        return (self.number - 1) * self.size

    @classmethod
    def of(cls, query: Mapping[str, str], *, default: int, cap: int) -> Paging:
        """Read `pageNumber` and `pageSize`; a size above the cap is clamped without a word."""
        number = _whole(query, "pageNumber", 1)
        return cls(number=number, size=min(_whole(query, "pageSize", default), cap))


def listing(
    rows: Sequence[dict[str, Any]], query: Mapping[str, str], *, default: int, world: World
) -> web.Response:
    """Return one page of a listing other than events."""
    paging = Paging.of(query, default=default, cap=world.options.list_cap)
    answer: dict[str, Any] = {"data": rows[paging.start : paging.start + paging.size]}
    if world.options.paginated:
        answer["pagination"] = {
            "currentPage": paging.number,
            "pageCount": -(-len(rows) // paging.size),
            "totalCount": len(rows),
        }
    return json_answer(answer)


def searched(
    rows: Sequence[dict[str, Any]], query: Mapping[str, str], members: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows that `search` finds, in the order that `sortField` asks for."""
    found = list(rows)
    if text := query.get("search", "").lower():
        found = [
            row for row in found if any(text in str(row.get(name)).lower() for name in members)
        ]
    if field := query.get("sortField"):
        head, *rest = field.split("_")
        name = head + "".join(part.capitalize() for part in rest)
        descending = query.get("sortDirection", "asc").lower() == "desc"
        found.sort(key=lambda row: str(row.get(name) or ""), reverse=descending)
    return found


def boolean(query: Mapping[str, str], name: str) -> bool | None:
    """Read a flag of a query; None if it is not given."""
    text = query.get(name)
    if text is None:
        return None
    if text.lower() not in {"true", "false", "1", "0"}:
        raise AnswerError(400, "invalid_query", f"{name} must be true or false")
    return text.lower() in {"true", "1"}


def instant_ms(query: Mapping[str, str], name: str) -> int | None:
    """Read a date-time of a query as milliseconds since 1970; None if it is not given."""
    text = query.get(name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise AnswerError(400, "invalid_query", f"{name} must be a date-time") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * 1000 + at.microsecond // 1000


def required(query: Mapping[str, str], name: str) -> str:
    """Read what a query must have."""
    value = query.get(name)
    if not value:
        raise AnswerError(400, "invalid_query", f"{name} is required")
    return value


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= MOST_PAGES:
        raise AnswerError(400, "invalid_query", f"{name} must be a whole number from 1 on")
    return int(text)
