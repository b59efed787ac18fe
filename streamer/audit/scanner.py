"""Finds credentials in JSON text without decoding it: what is not one keeps its bytes.

Takes any depth, any number, any escape, duplicate keys, and what is not JSON after all; never
recurses; time is linear in the length. Strings are looked into, as JSON, as URLs and as plain text,
level by level. What is written more than `DEEPEST` levels deep and is still suspect goes whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from streamer.audit import credentials
from streamer.audit.layers import Layer, unescaped

if TYPE_CHECKING:
    from collections.abc import Iterable

MARK: Final = b"[redacted]"
"""Stands where a credential stood."""

DEEPEST: Final = 8
LONGEST_LAYER_BYTES: Final = 4 * 1024 * 1024
"""A suspect string with escapes that is longer than this is not decoded but taken out whole."""

_PATH_PARTS: Final = 32
_KEY_CHARS: Final = 64
_CACHED_KEYS: Final = 4096

_TOKEN: Final = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"?([ \t\r\n]*+:)?+|[\[\]{},]', re.DOTALL)
_QUOTE, _COMMA, _OPENERS, _BRACKET = ord('"'), ord(","), b"[{", ord("[")
_HARMLESS: Final = frozenset((b"", b'""', b"null", b"true", b"false", b"[]", b"{}"))

# What a key says of the value under it.
_CREDENTIAL, _CHANGE, _NAMING, _VALUE = 1, 2, 4, 8
_ROLES: Final = {
    "previousvalue": _CHANGE,
    "newvalue": _CHANGE,
    "field": _NAMING,
    "fieldkey": _NAMING,
    "fieldname": _NAMING,
    "property": _NAMING,
    "path": _NAMING,
    "header": _NAMING,
    "key": _NAMING,
    "name": _NAMING,
    "value": _VALUE,
}


class Found(NamedTuple):
    """A credential: where it stands in the text, what is to stand there, and its path."""

    start: int
    end: int
    mark: bytes
    path: str


class _Work(NamedTuple):
    text: bytes
    layer: Layer | None
    path: str


class _Frame:
    """An object or array that is open, with the member that is being read."""

    __slots__ = ("candidates", "hidden", "index", "is_named", "key", "role", "value_at")

    def __init__(self, *, is_array: bool, hidden: bool) -> None:
        self.index = 0 if is_array else -1
        self.hidden = hidden
        self.key = b""
        self.role = 0
        self.value_at = -1
        self.is_named = False
        self.candidates: list[tuple[int, int, str]] | None = None


class Scanner:
    """Looks for credentials; one instance serves any number of texts.

    Args:
        value_is_secret: Whether what stands under `value` is a credential, as in `secret:*`.
        cut_keys: Further keys, lower-case, whose values are to go.
    """

    def __init__(
        self, *, value_is_secret: bool = False, cut_keys: frozenset[str] = frozenset()
    ) -> None:
        self._value_role = _CREDENTIAL if value_is_secret else _VALUE
        self._cut_keys = cut_keys
        self._role_of: dict[bytes, int] = {}

    def find(self, text: bytes, path: str) -> list[Found]:
        """Return the credentials in JSON text, in order, none inside another.

        Args:
            text: Need not be valid.
            path: What the text itself is called, such as `payload`.
        """
        found: list[Found] = []
        work = [_Work(text, None, path)]
        while work:
            item = work.pop()
            if item.layer is None or b'"' in item.text:
                self._search_json(item, found, work)
            if item.layer is not None:
                self._search_plain(item, found, work)
        return _outermost(found)

    def _search_json(self, item: _Work, found: list[Found], work: list[_Work]) -> None:
        text = item.text
        lowered = text.lower().decode("latin-1")
        suspect = credentials.suspect_lowered
        frame = _Frame(is_array=False, hidden=False)
        stack = [frame]
        for token in _TOKEN.finditer(text):
            start = token.start()
            char = text[start]
            if char == _QUOTE:
                if token[2] is not None:
                    frame.key, frame.value_at = token[1], token.end()
                    frame.role = self._role(frame.key)
                elif frame.role == _CREDENTIAL:
                    continue
                if not frame.hidden and suspect(lowered[start : token.end()]):
                    self._look_inside(item, stack, token.span(1), found, work)
            elif char in _OPENERS:
                hidden = frame.hidden or frame.role == _CREDENTIAL
                frame = _Frame(is_array=char == _BRACKET, hidden=hidden)
                stack.append(frame)
            else:
                self._end_member(item, stack, start, found)
                if char == _COMMA:
                    frame.index += frame.index >= 0
                elif len(stack) > 1:
                    _end_object(item, stack.pop(), found)
                    frame = stack[-1]
        while stack:  # What was never closed.
            self._end_member(item, stack, len(text), found)
            _end_object(item, stack.pop(), found)

    def _end_member(self, item: _Work, stack: list[_Frame], end: int, found: list[Found]) -> None:
        frame = stack[-1]
        start, role = frame.value_at, frame.role
        frame.value_at, frame.role = -1, 0
        if not role or frame.hidden:
            return
        value = item.text[start:end].strip(b" \t\r\n")
        if value in _HARMLESS:
            return
        start = item.text.index(value[:1], start)
        end = start + len(value)
        if role == _CREDENTIAL:
            found.append(_found(item, start, end, _path(item.path, stack)))
        elif role == _NAMING:
            if value[:1] == b'"':
                frame.is_named |= self._role(value.strip(b'"')) == _CREDENTIAL
        else:
            if frame.candidates is None:
                frame.candidates = []
            frame.candidates.append((start, end, _path(item.path, stack)))

    def _look_inside(
        self,
        item: _Work,
        stack: list[_Frame],
        span: tuple[int, int],
        found: list[Found],
        work: list[_Work],
    ) -> None:
        start, end = span
        if start == end:
            return
        path = _path(item.path, stack)
        depth = item.layer.depth if item.layer else 0
        if end - start > LONGEST_LAYER_BYTES or depth >= DEEPEST:
            found.append(_found_inside(item, start, end, path))
            return
        layer = Layer("string", item.layer, item.text[start:end], start)
        work.append(_Work(layer.text, layer, path))

    def _search_plain(self, item: _Work, found: list[Found], work: list[_Work]) -> None:
        text = item.text
        spans: list[tuple[int, int]] = []
        leading = credentials.LEADING.match(text)
        if leading:
            spans.append(leading.span(1))
        spans += (match.span() for match in credentials.PREFIXED.finditer(text))
        spans += self._loose_values(text)
        found += (_found_inside(item, start, end, item.path) for start, end in spans)
        if b"%" in text and item.layer is not None:
            if item.layer.depth >= DEEPEST:
                found.append(_found_inside(item, 0, len(text), item.path))
                return
            layer = Layer("percent", item.layer, text, 0)
            if len(layer.text) < len(text):
                work.append(_Work(layer.text, layer, item.path))

    def _loose_values(self, text: bytes) -> Iterable[tuple[int, int]]:
        """Yield what stands under a credential's key in text that need not be JSON."""
        if b"://" in text:
            for password in credentials.URL_PASSWORD.finditer(text):
                yield password.span(1)
        at = 0
        while key := credentials.QUERY_KEY.search(text, at):
            at = key.end()
            if self._role(unquote_to_bytes(key[1])) == _CREDENTIAL:
                value = credentials.QUERY_VALUE.match(text, at)
                if value:
                    at = value.end()
                    yield value.span()
        at = 0
        while colon := credentials.LOOSE_COLON.search(text, at):
            at = colon.end()
            if self._role(text[max(0, colon.start() - _KEY_CHARS) : colon.start()]) == _CREDENTIAL:
                value = credentials.LOOSE_VALUE.match(text, at)
                if value and value[value.lastindex or 0] not in _HARMLESS:
                    at = value.end()
                    yield value.span(value.lastindex or 0)

    def _role(self, key: bytes) -> int:
        role = self._role_of.get(key)
        if role is None:
            name = unescaped(key[-6 * _KEY_CHARS :])
            role = self._role_of_name(name.decode("utf-8", "replace").strip().lower())
            if len(key) <= _KEY_CHARS:
                if len(self._role_of) >= _CACHED_KEYS:
                    self._role_of.clear()
                self._role_of[key] = role
        return role

    def _role_of_name(self, name: str) -> int:
        if name in self._cut_keys or credentials.is_credential_key(name):
            return _CREDENTIAL
        role = _ROLES.get(name.replace("_", "").replace("-", ""), 0)
        return self._value_role if role == _VALUE else role


def _end_object(item: _Work, frame: _Frame, found: list[Found]) -> None:
    """What a change takes back or sets is a credential if the field it names is one."""
    if frame.is_named and frame.candidates:
        found += (_found(item, start, end, path) for start, end, path in frame.candidates)


def _found(item: _Work, start: int, end: int, path: str) -> Found:
    """A whole value. A string keeps its quotes, anything else becomes a string."""
    if item.text[start : start + 1] == b'"':
        closed = end - 1 > start and item.text[end - 1 : end] == b'"'
        return _found_inside(item, start + 1, end - closed, path)
    mark = b'"%b"' % MARK
    if item.layer is None:
        return Found(start, end, mark, path)
    return Found(*item.layer.sent(start, end), item.layer.written(mark), path)


def _found_inside(item: _Work, start: int, end: int, path: str) -> Found:
    """Part of a string: the mark needs no escape at any level."""
    if item.layer is None or start >= end:
        return Found(start, end, MARK, path)
    return Found(*item.layer.sent(start, end), MARK, path)


def _outermost(found: list[Found]) -> list[Found]:
    found.sort(key=lambda one: (one.start, -one.end))
    kept: list[Found] = []
    for one in found:
        if one.start >= one.end:
            continue
        if kept and one.start < kept[-1].end:
            if one.end > kept[-1].end:
                kept[-1] = kept[-1]._replace(end=one.end)
            continue
        kept.append(one)
    return kept


def _path(root: str, stack: list[_Frame]) -> str:
    """Return where the member that is being read stands, in a form that itself tells nothing."""
    parts = [root]
    for frame in stack[:_PATH_PARTS]:
        if frame.index >= 0:
            parts.append(f"[{frame.index}]")
        elif frame.key:
            parts.append("." + _shown(frame.key))
    if len(stack) > _PATH_PARTS:
        parts.append("…")
    return "".join(parts)


def _shown(key: bytes) -> str:
    name = unescaped(key[: 6 * _KEY_CHARS])[:_KEY_CHARS]
    return credentials.PREFIXED.sub(MARK, name).decode("utf-8", "replace")
