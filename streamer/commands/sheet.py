"""Rows under headings: as a table for people, as CSV for a spreadsheet.

What is in a cell comes from the API, so from whoever can name something in the account. A terminal
is shown no control characters; a spreadsheet no formulas: a cell that begins like one gets a quote.
"""

from __future__ import annotations

import csv
import sys
import textwrap
import unicodedata
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.console import Console

from streamer.commands.terminal import clipped, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDE: Final = 120
"""From so many columns on a terminal shows every column of a sheet."""

NARROWEST: Final = 8
"""Columns are not folded to less, however narrow the terminal is."""

_GAP: Final = "  "

FORMULA: Final = frozenset("=+-@")
"""What a spreadsheet takes for the beginning of one."""


class Column(NamedTuple):
    """A heading, and how its column is drawn.

    Attributes:
        is_wide: Whether it is left out where there is little room; CSV has all.
        is_whole: Whether its cells are never broken: ids, to be copied.
    """

    title: str
    is_wide: bool = False
    is_whole: bool = False
    justify: Literal["left", "right"] = "left"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Columns, and rows of as many cells.

    Attributes:
        totals: A last row, which CSV leaves out.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    totals: Sequence[str] | None = None


def draw(sheet: Sheet) -> None:
    """Write a sheet to standard output as a table, no wider than the terminal.

    Drawn here and not by rich, which takes a millisecond for each row.
    """
    room = Console().width
    keep = [
        place for place, column in enumerate(sheet.columns) if room >= WIDE or not column.is_wide
    ]
    columns = [sheet.columns[place] for place in keep]
    head = [column.title for column in columns]
    rows = [[clipped(row[place]) for place in keep] for row in sheet.rows]
    totals = [[clipped(sheet.totals[place]) for place in keep]] if sheet.totals else []
    widths = _widths(columns, [head, *rows, *totals], room)
    rule = ["─" * width for width in widths]
    below = [rule, *totals] if totals else []
    for row in (head, rule, *rows, *below):
        for line in _lines(row, columns, widths):
            sys.stdout.write(f"{line}\n")


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column is: as its widest cell, or less where there is no room for that."""
    widths = [max(_width(row[place]) for row in rows) for place in range(len(columns))]
    foldable = [place for place, column in enumerate(columns) if not column.is_whole]
    while foldable and sum(widths) + len(_GAP) * (len(widths) - 1) > room:
        widest = max(foldable, key=widths.__getitem__)
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _lines(row: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
    folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
    for pieces in zip_longest(*folded, fillvalue=""):
        drawn = (
            _padded(piece, column, width)
            for piece, column, width in zip(pieces, columns, widths, strict=True)
        )
        yield _GAP.join(drawn).rstrip()


def _folded(cell: str, width: int) -> list[str]:
    """The lines of a cell: broken between words, where letters are as wide as they are many."""
    cells = _width(cell)
    if cells <= width:
        return [cell]
    if cells > len(cell):
        return chop_cells(cell, width)
    return textwrap.wrap(cell, width, break_on_hyphens=False)


def _padded(text: str, column: Column, width: int) -> str:
    blank = " " * (width - _width(text))
    return blank + text if column.justify == "right" else text + blank


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def write_csv(sheet: Sheet) -> None:
    """Write a sheet to standard output as CSV, with its headings."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([guarded(column.title) for column in sheet.columns])
    writer.writerows([[guarded(cell) for cell in row] for row in sheet.rows])


def guarded(cell: str) -> str:
    """Return a cell of a CSV that no spreadsheet takes for a formula, and no terminal obeys."""
    text = shown(cell)
    # Full-width signs are taken for the others, too.
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return f"'{text}" if first in FORMULA else text
