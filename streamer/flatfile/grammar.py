"""Whether bytes are JSON text, at any depth and with any number or escape in it.

Decodes nothing. The decoders at hand refuse more than the grammar does: 1,000 levels, a lone
surrogate, a number of 5,000 digits. What they refuse may still be JSON, and is then archived.

One step of the loop covers all scalars up to the next bracket that opens or closes something, so
that the work in Python is proportional to the brackets, not to the bytes.

Source of the grammar: RFC 8259. UTF-8 is the caller's to check.
"""

from __future__ import annotations

import re
from typing import Final

_WS: Final = rb"[ \t\n\r]*+"
_STRING: Final = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
_NUMBER: Final = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_EMPTY: Final = rb"\[" + _WS + rb"\]|\{" + _WS + rb"\}"
_PLAIN: Final = rb"(?:" + _STRING + rb"|" + _NUMBER + rb"|true|false|null|" + _EMPTY + rb")"
_NAME: Final = _WS + _STRING + _WS + rb":"

_ITEMS: Final = {
    kind: re.compile(
        rb"(?:" + name + _WS + _PLAIN + _WS + rb",)*+"
        rb"" + name + _WS + rb"(?:" + _PLAIN + _WS + closer + rb"|([\[{]))"
    )
    for kind, name, closer in ((b"[", rb"", rb"\]"), (b"{", _NAME, rb"\}"))
}
"""From behind `[`, `{` or a comma to behind the next bracket; group 1 if that one opens."""

_AFTER: Final = {
    b"[": re.compile(_WS + rb"(?:,|(\]))"),
    b"{": re.compile(_WS + rb"(?:,|(\}))"),
}
"""What follows a container inside another one; group 1 if that one ends, too."""

_WHOLE: Final = re.compile(_WS + _PLAIN + _WS)
_OPENED: Final = re.compile(_WS + rb"([\[{])")
_END: Final = re.compile(_WS + rb"\Z")


def is_json(text: bytes) -> bool:
    """Tell whether `text` is exactly one JSON value, in time linear in its length."""
    if _WHOLE.fullmatch(text):
        return True
    opened = _OPENED.match(text)
    if opened is None:
        return False
    enclosing: list[bytes] = []
    kind, at = opened[1], opened.end()
    while True:
        items = _ITEMS[kind].match(text, at)
        if items is None:
            return False
        at = items.end()
        if items[1]:
            enclosing.append(kind)
            kind = items[1]
            continue
        while enclosing:
            kind = enclosing.pop()
            after = _AFTER[kind].match(text, at)
            if after is None:
                return False
            at = after.end()
            if not after[1]:
                break
        else:
            return _END.match(text, at) is not None
