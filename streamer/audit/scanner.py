"""Finds what must not be published in JSON text, without decoding it: the rest keeps its bytes.

What is sought is up to the rules. Takes any depth, any number, any escape, duplicate keys, and what
is not JSON after all; never recurses; time is linear in the length. Strings are looked into, as
JSON and as plain text, level by level. What is written more than `DEEPEST` levels deep and is still
suspect goes whole.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from streamer.audit.layers import Layer, unescaped
from streamer.flatfile.grammar import is_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.audit.layers import Kind

DEEPEST: Final = 8
MOST_LOOKS: Final = 32
"""How often, on average, each byte is looked at, over all levels and encodings; real events need a
few. What is left over after that goes whole."""

LONGEST_LAYER_BYTES: Final = 4 * 1024 * 1024
"""A suspect string that is longer than this is not decoded but taken out whole."""

KEY_BYTES: Final = 64
"""How much of a key, from its end, tells what it is."""

_PATH_PARTS: Final = 32
_CACHED_KEYS: Final = 4096

_STRING: Final = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?'
_SPACE: Final = rb"[ \t\r\n]*+"
_TOKEN: Final = re.compile(
    _STRING + rb"(?:" + _SPACE + rb"(:)" + _SPACE + rb"(?:" + _STRING + rb")?+)?+|[\[\]{},]",
    re.DOTALL,
)
"""A string (1), or a key (1) with its colon (2) and, if that is a string, its value (3); a bracket;
a comma. Other values are what lies between."""

_COLON: Final = 2
"""The group of a token's colon: the last one of a key whose value is no string."""

_COMMA, _OPENERS, _BRACKET = ord(","), b"[{", ord("[")
_HARMLESS: Final = frozenset((b"", b'""', b"null", b"true", b"false", b"[]", b"{}"))


class Role(IntEnum):
    """What a key says of the value under it."""

    NONE = 0
    SOUGHT = 1
    """It is what is sought, whatever it looks like."""

    DEPENDENT = 2
    """It is, if another member of the object names a key that is `SOUGHT`."""

    NAMING = 3
    """It may be the name of a key, as in `{"field": "password", "newValue": …}`."""


_NONE, _SOUGHT, _DEPENDENT = Role.NONE, Role.SOUGHT, Role.DEPENDENT  # Looked up once, not per key.


class Rules(Protocol):
    """What is sought."""

    def role(self, key: str) -> Role:
        """Return what a key, in lower case, says of its value."""

    def suspect(self, content: bytes) -> bool:
        """Tell whether what stands between two quotes is worth being looked into."""

    def suspect_strings(self, text: bytes) -> bool:
        """Tell whether any string of a JSON text may be `suspect`; False is certain."""

    def spans(self, plain: bytes) -> Iterable[tuple[int, int]]:
        """Return what is sought in a text, each with at least one byte."""

    def mark(self, sought: bytes) -> bytes:
        """Return what is to stand where this stood; printable ASCII that JSON need not escape."""


class Found(NamedTuple):
    """What was sought: where it stands in the text, what is to stand there, and its path."""

    start: int
    end: int
    mark: bytes
    path: str


class _Frame:
    """An object or array that is open, with the member that is being read."""

    __slots__ = ("dependent", "index", "is_named", "key", "role", "value_at")

    def __init__(self, *, is_array: bool) -> None:
        self.index = 0 if is_array else -1
        self.key = b""
        self.role: Role = _NONE
        self.value_at = -1
        self.is_named = False
        self.dependent: list[tuple[int, int, str]] | None = None


class Scanner:
    """Applies rules; one instance serves any number of texts.

    Attributes:
        rules: What is sought.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._keys: dict[bytes, tuple[Role, bool]] = {}

    def find(self, text: bytes, path: str) -> list[Found]:
        """Return what is sought in JSON text, in order, none inside another.

        Args:
            text: Need not be valid.
            path: What the text itself is called, such as `payload`.
        """
        found: list[Found] = []
        work = [_Search(text, None, path, found)]
        budget_bytes = MOST_LOOKS * len(text)
        while work:
            search = work.pop()
            budget_bytes -= len(search.text)
            if budget_bytes < 0:
                search.take(0, len(search.text), TOO_DEEP, search.path)
                continue
            if search.layer is None or b'"' in search.text:
                self._search_json(search, work)
            if search.layer is not None:
                self._search_plain(search, work)
        return _outermost(found)

    def _search_json(self, search: _Search, work: list[_Search]) -> None:
        text = search.text
        # Most credentials stand under a key that tells: then no string need be looked into.
        looks_inside = self.rules.suspect_strings(text)
        frame = _Frame(is_array=False)
        stack = [frame]
        for token in _TOKEN.finditer(text):
            group = token.lastindex
            if group is not None:
                if group > 1:
                    self._begin_member(search, stack, token, work)
                if looks_inside and group != _COLON and frame.role is not _SOUGHT:
                    self._search_string(search, stack, token, work)
                continue
            start = token.start()
            char = text[start]
            if char in _OPENERS:
                frame = _Frame(is_array=char == _BRACKET)
                stack.append(frame)
            else:
                if frame.value_at >= 0:
                    self._end_member(search, stack, start)
                if char == _COMMA:
                    frame.index += frame.index >= 0
                elif len(stack) > 1:
                    self._end_object(search, stack.pop())
                    frame = stack[-1]
        self._close(search, stack)

    def _search_string(
        self, search: _Search, stack: list[_Frame], token: re.Match[bytes], work: list[_Search]
    ) -> None:
        group = token.lastindex or 0
        if self.rules.suspect(token[group]):
            search.look_inside(token.span(group), search.path_of(stack), work)

    def _close(self, search: _Search, stack: list[_Frame]) -> None:
        """End what was never closed."""
        while stack:
            if stack[-1].value_at >= 0:
                self._end_member(search, stack, len(search.text))
            self._end_object(search, stack.pop())

    def _begin_member(
        self, search: _Search, stack: list[_Frame], token: re.Match[bytes], work: list[_Search]
    ) -> None:
        frame = stack[-1]
        frame.key = token[1]
        role, is_suspect = self._keys.get(frame.key) or self.key(frame.key)
        if role is not _NONE:
            frame.role, frame.value_at = role, token.end(_COLON)
        if is_suspect:
            search.look_inside(token.span(1), search.path_of(stack), work)

    def _end_member(self, search: _Search, stack: list[_Frame], end: int) -> None:
        frame = stack[-1]
        start, role = frame.value_at, frame.role
        frame.value_at, frame.role = -1, _NONE
        value = search.text[start:end].strip(b" \t\r\n")
        if value in _HARMLESS:
            return
        start = search.text.index(value[:1], start)
        end = start + len(value)
        if role is _SOUGHT:
            search.take_value(start, end, search.path_of(stack), self.rules)
        elif role is _DEPENDENT:
            if frame.dependent is None:
                frame.dependent = []
            frame.dependent.append((start, end, search.path_of(stack)))
        elif value[:1] == b'"' and self.key(value.strip(b'"'))[0] is _SOUGHT:
            frame.is_named = True

    def _end_object(self, search: _Search, frame: _Frame) -> None:
        if frame.is_named and frame.dependent:
            for start, end, path in frame.dependent:
                search.take_value(start, end, path, self.rules)

    def _search_plain(self, search: _Search, work: list[_Search]) -> None:
        for start, end in self.rules.spans(search.text):
            search.take(start, end, self.rules.mark(search.text[start:end]), search.path)
        if b"%" in search.text:
            search.look_behind("percent", work)
        # In JSON, escapes are inside its strings; those have been looked into.
        if b"\\" in search.text and not is_json(search.text):
            search.look_behind("string", work)

    def key(self, key: bytes) -> tuple[Role, bool]:
        """Return what a key says of its value, and whether it is itself worth being looked into."""
        known = self._keys.get(key)
        if known is None:
            # As many bytes as escapes can make of what tells.
            name = unescaped(key[-6 * KEY_BYTES :]).decode("utf-8", "replace")
            role = self.rules.role(name.strip().lower())
            known = role, self.rules.suspect(key)
            if len(key) <= KEY_BYTES:
                if len(self._keys) >= _CACHED_KEYS:
                    self._keys.clear()
                self._keys[key] = known
        return known


class _Search(NamedTuple):
    """A text to be searched, and how what is found in it is written in what was sent."""

    text: bytes
    layer: Layer | None
    path: str
    found: list[Found]

    def path_of(self, stack: list[_Frame]) -> str:
        """Return where the member that is being read stands."""
        parts = [self.path]
        for frame in stack[:_PATH_PARTS]:
            if frame.index >= 0:
                parts.append(f"[{frame.index}]")
            elif frame.key:
                name = unescaped(frame.key[: 6 * KEY_BYTES])[:KEY_BYTES]
                parts.append("." + name.decode("utf-8", "replace"))
        if len(stack) > _PATH_PARTS:
            parts.append("…")
        return "".join(parts)

    def take(self, start: int, end: int, mark: bytes, path: str) -> None:
        """Take out part of a string."""
        if start < end:
            if self.layer is not None:
                start, end = self.layer.sent(start, end)
            self.found.append(Found(start, end, mark, path))

    def take_value(self, start: int, end: int, path: str, rules: Rules) -> None:
        """Take out a whole value: a string keeps its quotes, anything else becomes a string."""
        if self.text[start : start + 1] == b'"':
            is_closed = end - 1 > start and self.text[end - 1 : end] == b'"'
            start, end = start + 1, end - is_closed
            self.take(start, end, rules.mark(unescaped(self.text[start:end])), path)
            return
        mark = b'"%b"' % rules.mark(self.text[start:end])
        self.take(start, end, self.layer.written(mark) if self.layer else mark, path)

    def look_inside(self, span: tuple[int, int], path: str, work: list[_Search]) -> None:
        """Search a string."""
        start, end = span
        depth = self.layer.depth if self.layer else 0
        if depth >= DEEPEST or end - start > LONGEST_LAYER_BYTES:
            self.take(start, end, TOO_DEEP, path)
        elif start < end:
            layer = Layer("string", self.layer, self.text[start:end], start)
            work.append(_Search(layer.text, layer, path, self.found))

    def look_behind(self, kind: Kind, work: list[_Search]) -> None:
        """Search what another encoding of the whole text hides."""
        if self.layer is None or self.layer.depth >= DEEPEST:
            self.take(0, len(self.text), TOO_DEEP, self.path)
            return
        layer = Layer(kind, self.layer, self.text, 0)
        if len(layer.text) < len(self.text):
            work.append(_Search(layer.text, layer, self.path, self.found))


TOO_DEEP: Final = b"[redacted]"
"""Stands for a string that was too deep or too long to be looked into."""


def _outermost(found: list[Found]) -> list[Found]:
    found.sort(key=lambda one: (one.start, -one.end))
    kept: list[Found] = []
    for one in found:
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = kept[-1]._replace(end=one.end)
        else:
            kept.append(one)
    return kept
