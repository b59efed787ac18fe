"""Takes credentials out of JSON text that is written as our own encoder would write it.

Nearly everything that a server sends is: decoded and encoded again, it is the same bytes. Then no
key is there twice, nothing is hidden by an escape, and what a changed value is encoded to differs
from the text only where it was changed. That is five times faster than scanning the text. What is
not so, or needs a closer look, is left to the scanner; what both find is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.audit.scanner import KEY_BYTES, Role

if TYPE_CHECKING:
    from streamer.audit.scanner import Scanner

_DEEPEST: Final = 24
"""Levels that are followed; the scanner shortens the paths of what is deeper."""

_NONE, _SOUGHT = Role.NONE, Role.SOUGHT  # Looked up once, not per key.
_CONTAINERS: Final = (dict, list)
_NUMBERS: Final = (int, float)


class NotPlainError(ValueError):
    """The text has to be scanned."""


def cleaned(text: bytes, path: str, scanner: Scanner, mark: bytes) -> tuple[bytes, list[str]]:
    """Put a mark in the place of every value that stands under the key of a credential.

    Args:
        text: JSON text.
        path: What it is called.
        scanner: What it would find is what is found.
        mark: Needs no escape.

    Returns:
        The text without them, and the path of each.

    Raises:
        NotPlainError: It is not as described above, or a string may hold a credential.
    """
    if b"\\" in text:
        raise NotPlainError
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NotPlainError from None
    if orjson.dumps(value) != text:
        raise NotPlainError
    cleaning = _Cleaning(scanner, mark.decode(), scanner.rules.suspect_strings(text))
    cleaning.clean(value, path, 0)
    return orjson.dumps(value) if cleaning.paths else text, cleaning.paths


class _Cleaning:
    """One way through a decoded value, which is changed on the way."""

    def __init__(self, scanner: Scanner, mark: str, looks_inside: bool) -> None:  # noqa: FBT001
        self.paths: list[str] = []
        self._key = scanner.key
        self._suspect = scanner.rules.suspect
        self._mark = mark
        self._looks_inside = looks_inside

    def clean(self, value: Any, path: str, depth: int) -> None:  # noqa: ANN401 - any JSON value
        if depth > _DEEPEST:
            raise NotPlainError
        if type(value) is dict:
            self._clean_object(value, path, depth + 1)
        elif type(value) is list:
            for index, item in enumerate(value):
                self.clean(item, f"{path}[{index}]", depth + 1)
        elif type(value) is str and self._looks_inside and self._suspect(value.encode()):
            raise NotPlainError

    def _clean_object(self, members: dict[str, Any], path: str, depth: int) -> None:
        is_named = has_dependent = False
        for key, value in members.items():
            sent = key.encode()
            role, is_suspect = self._key(sent)
            if is_suspect or not 0 < len(sent) <= KEY_BYTES:
                raise NotPlainError
            if role is _SOUGHT:
                if (value and value is not True) or type(value) in _NUMBERS:
                    members[key] = self._mark
                    self.paths.append(f"{path}.{key}")
                continue
            if role is not _NONE:
                has_dependent |= role is Role.DEPENDENT
                is_named |= role is Role.NAMING and self._names_credential(value)
            if self._looks_inside or type(value) in _CONTAINERS:
                self.clean(value, f"{path}.{key}", depth)
        if is_named and has_dependent:
            raise NotPlainError

    def _names_credential(self, value: object) -> bool:
        return type(value) is str and self._key(value.encode())[0] is _SOUGHT
