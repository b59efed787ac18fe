"""What counts as a credential: by the key that it stands under, or by how it begins.

`suspect` asks that of a kilobyte in less than a microsecond, and of nearly every event that is all
that redaction costs. It is allowed to be wrong in one direction only: what it clears holds nothing.

Why pydantic's regular expressions: `re` needs 100 µs per KB for an alternation of words, one
`bytes.find` per word 12 µs. The engine in pydantic-core (Rust) looks for all words at once. It has
no flags to spare for that, so the text is lower-cased first, which is cheaper than case folding.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic_core import SchemaValidator, core_schema

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

_SECOND: Final = (
    rf"(?:{_KEY_WORDS})(?:[\\\"'=%\]]|\s*:)"
    r"|(?:^|[^a-z0-9_]|\\[bfnrt]|\\u[0-9a-f]{4}|%[0-9a-f]{2})(?:sk_|pk_|pat_|bearer(?:[ +\\%]))"
    r"|\\u00[4-7]|%(?:[4-7][0-9a-f]|25)|://[^/?#\s\"]*@"
)


def _finder(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, strict=True))


_has_piece: Final = _finder(_FIRST).isinstance_python
_has_sign: Final = _finder(_SECOND).isinstance_python


def suspect(text: bytes) -> bool:
    """Tell whether JSON text may hold a credential; False is certain."""
    lowered = text.lower().decode("latin-1")
    return (_has_piece(lowered) or "%" in lowered) and _has_sign(lowered)


def suspect_lowered(text: str) -> bool:
    """Tell the same, more coarsely, of a string that is lower-cased and decoded as Latin-1."""
    return _has_piece(text) or "%" in text


_KEY_END: Final = re.compile(rf"(?:{_KEY_WORDS})\]?\Z", re.IGNORECASE | re.ASCII)


def is_credential_key(key: str) -> bool:
    """Tell whether what stands under this key is a credential: `dbPassword` yes, `secretId` no."""
    return _KEY_END.search(key[-64:]) is not None


PREFIXED: Final = re.compile(
    rb"""(?<![A-Za-z0-9_])(?:(?:sk|pk|pat)_|[Bb][Ee][Aa][Rr][Ee][Rr][ +\t]++)[^\s"'<>\\]++"""
)
"""A credential that shows by how it begins. `us_pat_…` is the id of one, not one."""

LEADING: Final = re.compile(rb"\s*+((?:(?:sk|pk|pat)_|[Bb][Ee][Aa][Rr][Ee][Rr][ +\t]++)\S++)")
"""The same at the very beginning of a value, where quotes and the like belong to it."""

QUERY_KEY: Final = re.compile(rb"""(?<![^?&#;,=\s"'/])([^?&#;,=\s"'/]++)=""")
QUERY_VALUE: Final = re.compile(rb"""[^&#;\s"'<>\\]++""")
"""Of `key=value`, as in a URL or a form."""

URL_PASSWORD: Final = re.compile(rb"""://[^/?#\s"'@:]*+:([^/?#\s"'@]++)@""")

LOOSE_COLON: Final = re.compile(rb"""["'][ \t\r\n]*+:[ \t\r\n]*+""")
LOOSE_VALUE: Final = re.compile(
    rb"""(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)|'([^'\\]*+(?:\\.[^'\\]*+)*+)|([^\s"'\[\]{},]++))""",
    re.DOTALL,
)
"""Of `key": value` in text that is not quite JSON; the key ends where the colon's match begins."""
