"""Text inside a string inside text: decodes one level, and knows where each byte came from.

So a credential that is found three escapes deep can be cut out of the bytes that were sent, and
nothing beside it changes.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["string", "percent"]

_STRING_ESCAPE: Final = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PERCENT_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_SHORT: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _string_escape(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return _SHORT.get(found[2], found[2])
    return chr(int(found[1], 16)).encode("utf-8", "surrogatepass")


def _percent_escape(found: re.Match[bytes]) -> bytes:
    return bytes((int(found[1], 16),))


_ESCAPES: Final[dict[Kind, tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]]]] = {
    "string": (_STRING_ESCAPE, _string_escape),
    "percent": (_PERCENT_ESCAPE, _percent_escape),
}


def unescaped(text: bytes) -> bytes:
    """Return what is written between the quotes of a JSON string; a lone surrogate survives."""
    return _STRING_ESCAPE.sub(_string_escape, text) if b"\\" in text else text


class Layer:
    """The plain form of a slice of an outer text.

    Attributes:
        text: The plain form.
        depth: How many layers lie between it and the bytes that were sent.
    """

    __slots__ = ("_kind", "_origin", "_outer", "_plain_at", "_sent_at", "depth", "text")

    def __init__(self, kind: Kind, outer: Layer | None, sent: bytes, origin: int) -> None:
        """Decode `sent`, which begins at `origin` in the outer layer's text."""
        self._kind: Kind = kind
        self._outer = outer
        self._origin = origin
        self.depth: int = outer.depth + 1 if outer else 1
        pattern, plain_of = _ESCAPES[kind]
        plain: list[bytes] = []
        # At each escape two entries: where it begins, and where the plain text goes on.
        self._plain_at, self._sent_at = array("q", (0,)), array("q", (0,))
        length = end = 0
        for found in pattern.finditer(sent):
            literal, decoded = sent[end : found.start()], plain_of(found)
            plain += (literal, decoded)
            length += len(literal)
            self._plain_at.extend((length, length + len(decoded)))
            self._sent_at.extend((found.start(), found.end()))
            length += len(decoded)
            end = found.end()
        plain.append(sent[end:])
        self.text = b"".join(plain)

    def sent(self, start: int, end: int) -> tuple[int, int]:
        """Return where the bytes from `start` to `end` (at least one) stand in what was sent."""
        start, end = self._origin + self._out(start), self._origin + self._out(end - 1, after=True)
        return (start, end) if self._outer is None else self._outer.sent(start, end)

    def _out(self, at: int, *, after: bool = False) -> int:
        entry = bisect_right(self._plain_at, at) - 1
        if entry % 2:  # Inside an escape: it goes whole.
            return self._sent_at[entry + 1] if after else self._sent_at[entry]
        return self._sent_at[entry] + at - self._plain_at[entry] + after

    def written(self, text: bytes) -> bytes:
        """Return how `text`, put into this layer, is written in what is sent."""
        if self._kind == "percent":
            text = quote(text, safe="[]").encode()
        else:
            text = json.dumps(text.decode()).encode()[1:-1]
        return text if self._outer is None else self._outer.written(text)
