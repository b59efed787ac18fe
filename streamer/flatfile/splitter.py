"""Cuts JSON text apart by its brackets and strings, without decoding any of it.

Decodes nothing, checks no grammar and never recurses: what lies between two commas is the caller's
to judge. Needed because a decoder refuses a whole page for one element that it does not like
(a lone surrogate, 10,000 levels), and because bytes that are to be kept must not be decoded.

Every quantifier is possessive and every string pattern is closed explicitly, so that each byte is
looked at a bounded number of times: plain quantifiers take minutes over 2 MB of an unclosed string
full of backslashes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT: Final = rb'[^"\[\]{}]*+(?:' + _STRING + rb'[^"\[\]{}]*+)*+'
_LEAF: Final = rb"\[" + _FLAT + rb"\]|\{" + _FLAT + rb"\}"


def _run(stops: bytes) -> re.Pattern[bytes]:
    """Match up to one of `stops`, past strings and past brackets that hold no other bracket."""
    plain = rb"[^" + stops + rb"]*+"
    return re.compile(
        plain + rb"(?:(?:" + _STRING + rb"|" + _LEAF + rb")" + plain + rb")*+", re.DOTALL
    )


_TO_BRACKET: Final = _run(rb'"\[\]{}')
_TO_SEPARATOR: Final = _run(rb'",\[\]{}')
_SPACE: Final = re.compile(rb"[ \t\n\r]*+")
_KEY: Final = re.compile(rb"[ \t\n\r]*+(" + _STRING + rb")[ \t\n\r]*+:", re.DOTALL)

_CLOSED_STRINGS: Final = re.compile(rb'[^"]*+(?:' + _STRING + rb'[^"]*+)*+', re.DOTALL)

_COMMA, _QUOTE = ord(","), ord('"')
_CLOSER: Final = {ord("["): ord("]"), ord("{"): ord("}")}


class TruncatedTextError(ValueError):
    """The text ends inside a string, an array or an object."""


class MisshapenTextError(ValueError):
    """A bracket is closed by one of the other kind, or what separates two items is missing."""


def skip_space(text: bytes, at: int) -> int:
    """Return the index of the first byte from `at` on that is not JSON white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def item_end(text: bytes, at: int) -> int:
    """Return the index of the comma or closing bracket that ends the item beginning at `at`.

    Raises:
        TruncatedTextError: The text ends first.
        MisshapenTextError: Brackets inside the item do not match.
    """
    awaited = bytearray()
    while True:
        found = (_TO_BRACKET if awaited else _TO_SEPARATOR).match(text, at)
        at = found.end() if found else at
        if at >= len(text) or text[at] == _QUOTE:
            raise TruncatedTextError
        char = text[at]
        if (closer := _CLOSER.get(char)) is not None:
            awaited.append(closer)
        elif not awaited:
            return at
        elif char != awaited.pop():
            raise MisshapenTextError
        at += 1


def elements(text: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each element of the array whose `[` is at `at`.

    White space around an element is not part of it. The end of the last one is followed by white
    space and the array's `]`.

    Raises:
        TruncatedTextError: The text ends before the array does.
        MisshapenTextError: Brackets do not match.
    """
    at = skip_space(text, at + 1)
    if text[at : at + 1] == b"]":
        return
    while True:
        end = item_end(text, at)
        yield at, _trimmed(text, at, end)
        if text[end] != _COMMA:
            if text[end : end + 1] != b"]":
                raise MisshapenTextError
            return
        at = skip_space(text, end + 1)


def key(text: bytes, at: int) -> tuple[bytes, int]:
    """Return the key (with its quotes) that begins at `at`, and where its value begins.

    Raises:
        TruncatedTextError: The text ends first.
        MisshapenTextError: There is no key.
    """
    found = _KEY.match(text, at)
    if found is None:
        item_end(text, at)  # Raises if it is the end of the text that is in the way.
        raise MisshapenTextError
    return found[1], skip_space(text, found.end())


def up_to_open_string(text: bytes) -> bytes:
    """Return all of `text` up to a string that it ends within."""
    found = _CLOSED_STRINGS.match(text)
    return text[: found.end()] if found else text


def members(text: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield key (with its quotes), begin and end of the value of each member of an object.

    Raises:
        TruncatedTextError: The text ends before the object does.
        MisshapenTextError: It is no object, brackets do not match, or a key is missing.
    """
    at = skip_space(text, 0)
    if text[at : at + 1] != b"{":
        raise MisshapenTextError
    at = skip_space(text, at + 1)
    if text[at : at + 1] == b"}":
        return
    while True:
        name, begin = key(text, at)
        end = item_end(text, begin)
        yield name, begin, _trimmed(text, begin, end)
        if text[end] != _COMMA:
            return
        at = end + 1


def _trimmed(text: bytes, begin: int, end: int) -> int:
    while end > begin and text[end - 1] in b" \t\n\r":
        end -= 1
    return end
