"""A page's bytes -> its events, also when one of them is hostile.

No I/O, no clock. The whole body is decoded at once first; only if that is refused are its elements
cut apart and read one by one, so that one bad event never holds up another.

The open parts of an event stay bytes of the page: nothing here decodes or re-encodes them. A member
that occurs twice at the top level of an event counts with its last value, as in every JSON reader
we know of; deeper down both stay as sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Final

import msgspec

from streamer.flatfile.envelope import (
    LARGE_BODY_BYTES,
    beginning_of_only_element,
    elements_of,
    is_utf8,
)
from streamer.flatfile.models import ABSENT, Event, Row
from streamer.flatfile.rows import read_beginning, read_row

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORTEST_TIME: Final = len("2023-11-07T20")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of `GET /events`.

    Attributes:
        rows: Its elements, in the order of the answer.
        times: For each row its `created_at` in UTC; None where it is no date-time.
        server_at: The answer's `Date`.
        size_bytes: Length of the body, decompressed.
    """

    rows: list[Row]
    times: list[datetime | None]
    server_at: datetime | None
    size_bytes: int


class _Events(msgspec.Struct):
    data: list[Event]


_EVENTS: Final = msgspec.json.Decoder(_Events)
_TIMEZONE: Final = attrgetter("tzinfo")
_IS_UTC: Final = partial(is_, UTC)


def parse_clean_page(body: bytes, server_at: datetime | None) -> Page | None:
    """Read a page on which nothing is out of the ordinary; never takes more than milliseconds.

    Takes about 1 µs an event.

    Returns:
        None if `parse_hostile_page` has to look at it, which a caller with an event loop does in a
        thread.
    """
    if len(body) > LARGE_BODY_BYTES or not is_utf8(body):
        return None
    try:
        rows = _EVENTS.decode(body).data
    except (msgspec.MsgspecError, RecursionError):
        return None
    if [row for row in rows if row.extra is not ABSENT or not row.id]:
        return None  # See `read_row`: neither an empty id nor a member called " extra" is plain.
    return Page(list[Row](rows), _times([row.created_at for row in rows]), server_at, len(body))


def parse_hostile_page(body: bytes, server_at: datetime | None) -> Page:
    """Read a page element by element, whatever those hold.

    Takes some 10 µs an event, and at worst half a second per million brackets.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`, or is cut off: ask again.
    """
    rows = [read_row(element) for element in elements_of(body)]
    return Page(rows, _times([row.created_at for row in rows]), server_at, len(body))


def parse_beginning(body: bytes, server_at: datetime | None) -> Page:
    """Read the beginning of a page that is too large although one row was asked for.

    Raises:
        AnswerTooLargeError: It is not the beginning of a single row.
    """
    row = read_beginning(beginning_of_only_element(body))
    return Page([row], _times([row.created_at]), server_at, len(body))


def _times(stamps: Sequence[str | None]) -> list[datetime | None]:
    try:
        times = [datetime.fromisoformat(stamp) for stamp in stamps]  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return [_time(stamp) for stamp in stamps]
    if all(map(_IS_UTC, map(_TIMEZONE, times))):
        return list[datetime | None](times)
    return [_time(stamp) for stamp in stamps]


def _time(stamp: str | None) -> datetime | None:
    """Return an instant in UTC; a time without an offset is taken for one, a bare date is none."""
    if stamp is None or len(stamp) < _SHORTEST_TIME:
        return None
    try:
        time = datetime.fromisoformat(stamp.upper())
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
