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
from itertools import islice
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from streamer.errors import FlatfileAnswerError
from streamer.flatfile import splitter
from streamer.flatfile.grammar import is_json
from streamer.flatfile.models import ABSENT, Event, Row
from streamer.flatfile.rows import is_utf8, read_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_ROWS: Final = 200_000
"""More elements than this is no page. We ask for 1,000; 64 MiB of `0,` would be 32 million objects
in memory."""

LARGE_BODY_BYTES: Final = 8 * 1024 * 1024
"""From here on elements are cut apart and counted before any object is made of them."""

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


class _Elements(msgspec.Struct):
    data: list[msgspec.Raw]


_EVENTS: Final = msgspec.json.Decoder(_Events)
_ELEMENTS: Final = msgspec.json.Decoder(_Elements)
_TIMEZONE: Final = attrgetter("tzinfo")
_IS_UTC: Final = partial(is_, UTC)
_WHITE_SPACE: Final = b" \t\n\r"
_BRACE, _CLOSING_BRACE, _COMMA = b"{},"


def parse_page(body: bytes, server_at: datetime | None) -> Page:
    """Read a page, whatever its elements hold.

    Takes about 1 µs an event, some 10 µs where elements must be cut apart, and at worst half a
    second per million brackets: see `parse_clean_page`.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`, or is cut off: ask again.
    """
    return parse_clean_page(body, server_at) or parse_hostile_page(body, server_at)


def parse_clean_page(body: bytes, server_at: datetime | None) -> Page | None:
    """Read a page on which nothing is out of the ordinary; never takes more than milliseconds.

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
    """Read a page element by element.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`, or is cut off: ask again.
    """
    rows = [read_row(element) for element in _elements(body)]
    return Page(rows, _times([row.created_at for row in rows]), server_at, len(body))


def _elements(body: bytes) -> Iterator[bytes]:
    if len(body) <= LARGE_BODY_BYTES and is_utf8(body):
        try:
            return map(bytes, _ELEMENTS.decode(body).data)
        except (msgspec.MsgspecError, RecursionError):
            pass  # It is an element that is refused, or there are none: cutting tells.
    try:
        return (body[begin:end] for begin, end in _cut(body))
    except splitter.TruncatedTextError:
        _refuse("the body is cut off")
    except splitter.MisshapenTextError:
        _refuse("the body is not an object with an array `data`")


def _cut(body: bytes) -> list[tuple[int, int]]:
    """Return begin and end of each element of the answer's `data`.

    Strict about everything around the elements: what a broken one does to the text behind it must
    not pass for the end of the page.
    """
    at = splitter.skip_space(body, 0)
    if at == len(body):
        raise splitter.TruncatedTextError
    if body[at] != _BRACE:
        raise splitter.MisshapenTextError
    spans: list[tuple[int, int]] | None = None
    separator = _COMMA
    while separator == _COMMA:
        key, at = splitter.key(body, at + 1)
        if key == b'"data"' and body[at : at + 1] == b"[":
            spans = _cut_data(body, at)
            end = splitter.skip_space(body, spans[-1][1] if spans else at + 1) + 1
            at = splitter.item_end(body, end)
            sound = not body[end:at].strip(_WHITE_SPACE)
        else:
            begin, at = at, splitter.item_end(body, at)
            sound = is_json(body[begin:at])
        separator = body[at]
        if not sound:
            raise splitter.MisshapenTextError
    if separator != _CLOSING_BRACE or spans is None or body[at + 1 :].strip(_WHITE_SPACE):
        raise splitter.MisshapenTextError
    return spans


def _cut_data(body: bytes, at: int) -> list[tuple[int, int]]:
    spans = list(islice(splitter.elements(body, at), MAX_ROWS + 1))
    if len(spans) > MAX_ROWS:
        _refuse(f"more than {MAX_ROWS:,} elements")
    if any(begin == end for begin, end in spans):
        raise splitter.MisshapenTextError
    return spans


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


def _refuse(what: str) -> NoReturn:
    raise FlatfileAnswerError(
        where="GET /events",
        what=what,
        next_step="It is asked for again; if it stays so, look at what answers there.",
    ) from None
