"""What counts as a credential: by the key that it stands under, or by how it begins.

`suspect` asks that of a kilobyte in about a microsecond, and of nearly every event that is all that
redaction costs. It is allowed to be wrong in one direction only: what it clears holds nothing.

Why pydantic's regular expressions: `re` needs 100 µs per KB for an alternation of words, one
`bytes.find` per word 12 µs. The engine in pydantic-core (Rust) looks for all words at once. It has
no flags to spare for that, so the text is lower-cased first, which is cheaper than case folding.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from pydantic_core import SchemaValidator, core_schema

from streamer.audit.scanner import KEY_BYTES, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = b"[redacted]"
"""Stands where a credential stood."""

_KEY_WORDS: Final = (
    "token|secret|passw(?:or)?d|passphrase|pwd|authorization|cookie|credentials?"
    "|guest[-_ ]?link|(?:api|private|secret|access)[-_ ]?key"
)
_FIRST: Final = (
    "oken|ecret|assw|assph|pwd|uthoriz|ookie|redential|link|api|private|access"  # of each key
    r"|sk_|pk_|pat_|bearer|://"  # how credentials begin, and where a URL may hold a password
    r"|\\u00"  # an ASCII letter written so as not to be found
)
"""Plain text of three characters or more, and few of them: then it is found by far the fastest."""

_BEHIND_KEY: Final = r"[\\'=%\]]|\s*:"
_SIGNS: Final = (
    r"|(?:^|[^a-z0-9_]|\\[bfnrt]|\\u[0-9a-f]{4}|%[0-9a-f]{2})(?:sk_|pk_|pat_|bearer(?:[ +\\%]))"
    r"|\\u00[4-7]|%(?:[4-7][0-9a-f]|25)|://[^/?#\s\"]*@"
)
_IN_STRING: Final = rf"(?:{_KEY_WORDS})(?:{_BEHIND_KEY}){_SIGNS}"
_ANYWHERE: Final = rf"(?:{_KEY_WORDS})(?:\"|{_BEHIND_KEY}){_SIGNS}"


PREFIXES: Final = ("sk_", "pk_", "pat_")
"""How a credential that is one word begins."""


def _finder(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True))


_has_piece: Final = _finder(_FIRST).isinstance_python
_has_sign: Final = _finder(_ANYWHERE).isinstance_python
_has_sign_in_string: Final = _finder(_IN_STRING).isinstance_python


def suspect(text: bytes) -> bool:
    """Tell whether JSON text may hold a credential; False is certain."""
    lowered = text.lower().decode("latin-1")
    return (_has_piece(lowered) or "%" in lowered) and _has_sign(lowered)


_KEY_END: Final = re.compile(rf"(?:{_KEY_WORDS})\]?\Z", re.ASCII)

_PREFIXED: Final = re.compile(
    rb"""(?<![A-Za-z0-9_])(?:(?:sk|pk|pat)_|[Bb][Ee][Aa][Rr][Ee][Rr][ +\t]++)[^\s"'<>\\]++"""
)
"""A credential that shows by how it begins. `us_pat_…` is the id of one, not one."""

_LEADING: Final = re.compile(rb"\s*+((?:(?:sk|pk|pat)_|[Bb][Ee][Aa][Rr][Ee][Rr][ +\t]++)\S++)")
"""The same at the very beginning of a value, where quotes and the like belong to it."""

_QUERY_KEY: Final = re.compile(rb"""(?<![^?&#;,=\s"'/])([^?&#;,=\s"'/]++)=""")
_QUERY_VALUE: Final = re.compile(rb"""[^&#;\s"'<>\\]++""")
"""Of `key=value`, as in a URL or a form."""

_URL_PASSWORD: Final = re.compile(rb"""://[^/?#\s"'@:]*+:([^/?#\s"'@]++)@""")

_LOOSE_COLON: Final = re.compile(rb"""["'][ \t\r\n]*+:[ \t\r\n]*+""")
_LOOSE_VALUE: Final = re.compile(
    rb"""(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)|'([^'\\]*+(?:\\.[^'\\]*+)*+)|([^\s"'\[\]{},]++))""",
    re.DOTALL,
)
"""Of `key": value` in text that is not quite JSON; the key ends where the colon's match begins."""


_LITERALS: Final = frozenset((b"", b"null", b"true", b"false"))
_CHANGE_KEYS: Final = frozenset(("previousvalue", "newvalue"))
_NAMING_KEYS: Final = frozenset(
    ("field", "fieldkey", "fieldname", "key", "name", "property", "path", "header")
)


class CredentialRules:
    """What a scanner has to know to find credentials.

    Args:
        value_is_secret: Whether what stands under `value` is a credential, as in `secret:*`.
        cut_keys: Further keys, in lower case, whose values are to go.
    """

    def __init__(
        self, *, value_is_secret: bool = False, cut_keys: frozenset[str] = frozenset()
    ) -> None:
        self._value_role = Role.SOUGHT if value_is_secret else Role.DEPENDENT
        self._cut_keys = cut_keys

    def role(self, key: str) -> Role:
        """Tell credentials by their key: `dbPassword` is one's, `secretId` is not."""
        if _KEY_END.search(key[-KEY_BYTES:]) or key in self._cut_keys:
            return Role.SOUGHT
        key = key.replace("_", "").replace("-", "")
        if key == "value":
            return self._value_role
        if key in _CHANGE_KEYS:
            return Role.DEPENDENT
        return Role.NAMING if key in _NAMING_KEYS else Role.NONE

    def suspect(self, content: bytes) -> bool:
        """Tell whether there may be one in a string: not in one of letters and digits alone."""
        return not content.isalnum() and self.suspect_strings(content)

    def suspect_strings(self, text: bytes) -> bool:
        """Tell whether there may be one in a string of JSON text: a key alone is no sign."""
        lowered = text.lower().decode("latin-1")
        return (_has_piece(lowered) or "%" in lowered) and _has_sign_in_string(lowered)

    def mark(self, _sought: bytes) -> bytes:
        """Return the same for all of them: it tells nothing."""
        return MARK

    def spans(self, plain: bytes) -> Iterator[tuple[int, int]]:
        """Return credentials that show by how they begin, or stand under a key in a URL or text."""
        if leading := _LEADING.match(plain):
            yield leading.span(1)
        for found in _PREFIXED.finditer(plain):
            yield found.span()
        if b"://" in plain:
            for found in _URL_PASSWORD.finditer(plain):
                yield found.span(1)
        yield from self._query_values(plain)
        yield from self._loose_values(plain)

    def _query_values(self, plain: bytes) -> Iterator[tuple[int, int]]:
        at = 0
        while key := _QUERY_KEY.search(plain, at):
            at = key.end()
            if self._is_sought(unquote_to_bytes(key[1][-3 * KEY_BYTES :])):
                value = _QUERY_VALUE.match(plain, at)
                if value:
                    at = value.end()
                    yield value.span()

    def _loose_values(self, plain: bytes) -> Iterator[tuple[int, int]]:
        at = 0
        while colon := _LOOSE_COLON.search(plain, at):
            at = colon.end()
            if self._is_sought(plain[max(0, colon.start() - KEY_BYTES) : colon.start()]):
                value = _LOOSE_VALUE.match(plain, at)
                group = (value and value.lastindex) or 0
                if value and value[group] not in _LITERALS:
                    at = value.end()
                    yield value.span(group)

    def _is_sought(self, key: bytes) -> bool:
        return self.role(key.decode("utf-8", "replace").strip().lower()) is Role.SOUGHT
