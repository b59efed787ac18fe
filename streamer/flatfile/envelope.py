"""The frame of an answer, `{"data": […], …}` -> the bytes of each element, or of the one object.

Strict about everything around the elements, and blind to what is in them: what a broken element
does to the text behind it must not pass for the end of the list.
"""

from __future__ import annotations

import codecs
from itertools import islice
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from streamer.errors import AnswerTooLargeError, FlatfileAnswerError
from streamer.flatfile import splitter
from streamer.flatfile.grammar import is_json

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ROWS: Final = 200_000
"""More elements than this is no page. We ask for 1,000; 64 MiB of `0,` would be 32 million objects
in memory."""

LARGE_BODY_BYTES: Final = 8 * 1024 * 1024
"""From here on elements are cut apart and counted before any object is made of them."""

UTF_8_PIECE_BYTES: Final = 64 * 1024

_UTF_8: Final = codecs.getincrementaldecoder("utf-8")
_WHITE_SPACE: Final = b" \t\n\r"
_BRACE, _CLOSING_BRACE, _COMMA = b"{},"


class _Elements(msgspec.Struct):
    data: list[msgspec.Raw]


class _Frame(msgspec.Struct):
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


_ELEMENTS: Final = msgspec.json.Decoder(_Elements)
_FRAME: Final = msgspec.json.Decoder(_Frame)
_REFUSALS: Final = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


def is_utf8(text: bytes) -> bool:
    """Tell whether `text` is UTF-8, which a decoder does not check where it only skips.

    In pieces: as one string, a page with a single emoji on it would take four bytes a character,
    and seven times as long.
    """
    if text.isascii():
        return True
    decode = _UTF_8().decode
    pieces = memoryview(text)
    try:
        for at in range(0, len(text), UTF_8_PIECE_BYTES):
            decode(pieces[at : at + UTF_8_PIECE_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def elements_of(body: bytes) -> Iterator[bytes]:
    """Return the bytes of each element of an answer's `data`.

    Raises:
        FlatfileAnswerError: The body as a whole is not `{"data": […]}`, or is cut off: ask again.
    """
    if len(body) <= LARGE_BODY_BYTES:
        try:
            return map(bytes, _ELEMENTS.decode(body).data)
        except _REFUSALS:
            pass  # It is an element that is refused, or there are none: cutting tells.
    try:
        return (body[begin:end] for begin, end in _cut(body))
    except splitter.TruncatedTextError:
        _refuse("the body is cut off")
    except splitter.MisshapenTextError:
        _refuse("the body is not an object with an array `data`")


def data_of(body: bytes) -> bytes:
    """Return the bytes of an answer's `data`; empty if it has none.

    Raises:
        FlatfileAnswerError: The body is not an object, or is cut off: ask again.
    """
    try:
        return bytes(_FRAME.decode(body).data)
    except _REFUSALS:
        pass  # Perhaps it is only what is in `data` that is refused.
    try:
        members = list(splitter.members(body))
    except (splitter.TruncatedTextError, splitter.MisshapenTextError):
        _refuse("the body is cut off, or not an object")
    return b"".join(body[begin:end] for key, begin, end in members if key == b'"data"')


def beginning_of_only_element(beginning: bytes) -> bytes:
    """Return the beginning of an element in `data` that does not end within what was read.

    Raises:
        AnswerTooLargeError: There is none, or another one before it.
    """
    try:
        at = splitter.skip_space(beginning, 0)
        while True:
            name, at = splitter.key(beginning, at + 1)
            if name == b'"data"' and beginning[at : at + 1] == b"[":
                at = splitter.skip_space(beginning, at + 1)
                break
            at = splitter.item_end(beginning, at)
    except (splitter.TruncatedTextError, splitter.MisshapenTextError):
        at = len(beginning)
    if beginning[at : at + 1] == b"{":
        try:
            splitter.item_end(beginning, at)
        except splitter.TruncatedTextError:
            return beginning[at:]
        except splitter.MisshapenTextError:
            pass
    raise AnswerTooLargeError(
        where="an answer of Flatfile",
        what="more than we read, although one event was asked for",
        next_step="Raise STREAMER_FLATFILE__MAX_BODY_BYTES, or look at what answers there.",
    )


def _cut(body: bytes) -> list[tuple[int, int]]:
    """Return begin and end of each element of the answer's `data`."""
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


def _refuse(what: str) -> NoReturn:
    raise FlatfileAnswerError(
        where="an answer of Flatfile",
        what=what,
        next_step="It is asked for again; if it stays so, look at what answers there.",
    ) from None
