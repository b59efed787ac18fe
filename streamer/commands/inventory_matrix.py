"""Which names of spaces exist in which environments: a letter an environment, so that many fit."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from streamer.commands.sheet import Column, Sheet
from streamer.commands.terminal import clipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LETTERS: Final = string.ascii_lowercase + string.ascii_uppercase
"""Stand for the environments of one block."""

_HAS, _HAS_NOT = "●", "·"
_NAME_SHARE: Final = 0.5
_COUNT_WIDTH: Final = 5
_GAP: Final = "  "


def draw_matrix(places: Sequence[str], named: Mapping[str, set[str]]) -> None:
    """Write, for each name of a space, in how many environments it exists, and in which.

    Args:
        places: The environments.
        named: By name of a space, those that have one.
    """
    console = Console(highlight=False, markup=False, soft_wrap=True)
    longest = max((Text(clipped(name)).cell_len for name in named), default=0)
    width = min(longest, int(console.width * _NAME_SHARE))
    room = console.width - width - _COUNT_WIDTH - 2 * len(_GAP)
    most = max(1, min(len(LETTERS), room))
    for start in range(0, len(places), most):
        block = places[start : start + most]
        letters = LETTERS[: len(block)]
        for letter, place in zip(letters, block, strict=True):
            console.print(Text(f"{letter} {clipped(place)}"))
        console.print()
        console.print(Text(_GAP.join((" " * width, "in".rjust(_COUNT_WIDTH), letters)), "bold"))
        for name, having in named.items():
            cells = "".join(_HAS if place in having else _HAS_NOT for place in block)
            shown = Text(clipped(name))
            shown.truncate(width, overflow="ellipsis", pad=True)
            shown.append(f"{_GAP}{len(having):>{_COUNT_WIDTH},}{_GAP}{cells}")
            console.print(shown)
        console.print()


def as_sheet(places: Sequence[str], named: Mapping[str, set[str]]) -> Sheet:
    """The same as rows: a column an environment."""
    rows = [
        [name, str(len(having)), *("x" if place in having else "" for place in places)]
        for name, having in named.items()
    ]
    return Sheet((Column("space"), Column("environments"), *map(Column, places)), rows)
