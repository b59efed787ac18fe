"""The table of `streamer status`: within the terminal's width, whatever environments are called."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamer.commands.terminal import clipped, is_terminal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from streamer.commands.standings import Standing

PIPE_WIDTH: Final = 2000
"""Characters of a line where no terminal bounds it: more than any needs, so that none is folded."""

_NUMBERS: Final = ("shard", "sequence", "last poll", "watermark")
_GAP: Final = 2
_NAME_AT_LEAST: Final = 8
"""Columns for a name where the terminal is too narrow for the table: its right end gives way."""

_CAPTION: Final = (
    "Ages. Last poll: as the newest checkpoint says; that of a quiet environment\n"
    "can be 15 minutes old."
)
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def draw(found: Sequence[Standing], late: Collection[Standing], now: datetime) -> None:
    """Print a row for each environment; those that are late in red."""
    console = Console(highlight=False, markup=False, width=None if is_terminal() else PIPE_WIDTH)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    # Names may be as long as their owners like. They are folded, not cut: what tells two
    # environments apart is often at the end.
    table.add_column("environment", overflow="fold", min_width=_NAME_AT_LEAST)
    for title in _NUMBERS:
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("writer", overflow="fold")
    for one, name in zip(found, _names(found), strict=True):
        table.add_row(
            Text(clipped(name)),
            *_cells(one, now),
            Text(clipped(one.checkpoint.writer)),
            style="bold red" if one in late else "",
        )
    console.print(table)
    console.print(Text(_CAPTION, style="dim"))


def age(seconds: float | None) -> str:
    """Return an age in its largest unit, `never` for None."""
    if seconds is None:
        return "never"
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def _names(found: Sequence[Standing]) -> list[str]:
    """Names; where two environments have the same one, or none, their ids."""
    environments = [one.checkpoint.environment for one in found]
    count = Counter(one.name for one in environments)
    return [one.name if one.name and count[one.name] == 1 else one.id for one in environments]


def _cells(one: Standing, now: datetime) -> tuple[str, ...]:
    checkpoint = one.checkpoint
    ages = age(one.polled_s(now)), age(one.watermark_s(now))
    return (str(one.shard), f"{checkpoint.sequence:,}", *ages, checkpoint.state)
