"""What others wrote, made harmless for a terminal: shown, never obeyed.

Names, e-mail addresses and topics come from the API, so from whoever is a guest of an account. In a
terminal they could move the cursor, rewrite what stands above, or turn the reading direction
around. Everything that is printed as text goes through `shown`; what is drawn with rich is put into
`Text` objects besides, so that markup in a name stays letters.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LENGTH_AT_MOST: Final = 300
"""Characters of one text that are shown. A name of a megabyte would push all else away."""

NAME_LENGTH: Final = 30
"""Characters of an environment's name that are shown."""

NAMED_AT_MOST: Final = 8
"""How many environments are named in a sentence."""

INTERRUPTED: Final = 130
"""Exit code of a command that Ctrl-C ended: what shells use for SIGINT."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Persian and many emoji are not written without them; between other letters they do nothing."""

_ESCAPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls (C0, C1), format characters (bidi, invisible, tags), surrogates, private and unassigned
code points, and the two that break lines. Source: Unicode Standard Annex 44, General Category."""

_PLAIN: Final = re.compile(r"[ -~]*")


def shown(text: str) -> str:
    """The text on one line, with everything that a terminal could obey written as an escape."""
    if not _PLAIN.fullmatch(text):
        text = "".join(
            character if _harmless(character) else _escape(character) for character in text
        )
    return text


def clipped(text: str, length: int = LENGTH_AT_MOST) -> str:
    """The text as `shown`, cut to a length that leaves room for the rest of the line."""
    if len(text) > length:
        text = f"{text[: length - 1]}…"
    return shown(text)


def a_few(names: Sequence[str]) -> str:
    """`production, staging, …`: the first of them, and whether there are more."""
    more = ", …" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(clipped(name, NAME_LENGTH) for name in names[:NAMED_AT_MOST]) + more


def counted(number: int, thing: str) -> str:
    """`1 record`, `2,042 records`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _harmless(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _ESCAPED_CATEGORIES


def _escape(character: str) -> str:
    return (
        character.encode("ascii", "backslashreplace").decode()
        if ord(character) > 0x7F
        else (f"\\x{ord(character):02x}")
    )


def is_terminal() -> bool:
    """Whether a person is looking at the results."""
    return sys.stdout.isatty()
