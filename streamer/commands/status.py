"""`streamer status`: where each environment stands, from the topics alone."""

from __future__ import annotations

import json as json_text
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter, validators
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.standings import Standing, standings
from streamer.commands.terminal import clipped, is_terminal
from streamer.config import load_settings
from streamer.errors import CheckFailedError
from streamer.kafka.client import Connection
from streamer.kafka.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Sequence

PIPE_WIDTH: Final = 240
"""Characters of a line where no terminal bounds it."""

_TITLES: Final = ("shard", "sequence", "last poll", "watermark", "state")
_NUMBERS: Final = frozenset(_TITLES) - {"state"}
_GAP: Final = 2
_NAMES_AT_LEAST: Final = 20
"""Characters of environment and writer together, however narrow the terminal is."""

_AS_OF_CHECKPOINTS: Final = (
    "Last poll: as its newest checkpoint says, which of a quiet environment can be\n15 minutes old."
)
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


async def status(
    *,
    config: ConfigFile = None,
    json: bool = False,
    max_lag: Annotated[float | None, Parameter(validator=validators.Number(gte=0))] = None,
) -> int:
    """Show where each environment stands, also when no worker lives: only Kafka is asked.

    The last poll is when the last complete look at the environment began, as its newest checkpoint
    says. A checkpoint is written with every capture and every completed sweep, and of a quiet
    environment every 15 minutes at the latest: so a healthy one can show up to 15 minutes. How it
    is at this moment tell /readyz and /metrics of the worker.

    Args:
        config: TOML file with settings.
        json: Print one JSON object.
        max_lag: Exit code 5 if the last poll of an environment in state `polled` is longer ago than
            so many seconds, or if there is no environment; choose more than 900.
    """
    silence_logs()
    settings = load_settings(config).kafka
    async with LogReader(Connection(settings)) as reader:
        found = await standings(reader, settings.checkpoint_topic)
    now = datetime.now(UTC)
    late = [] if max_lag is None else [one for one in found if one.lags(now, max_lag)]
    if json:
        members = [_members(one, now, is_late=one in late) for one in found]
        document = {"at": _instant(now), "max_lag_s": max_lag, "environments": members}
        sys.stdout.write(f"{json_text.dumps(document)}\n")
    elif found:
        _draw(found, late, now)
    else:
        sys.stderr.write("streamer: no environment has a checkpoint yet.\n")
    if max_lag is not None and (late or not found):
        for one in late:
            name = clipped(one.checkpoint.environment.id, 100)
            age = _age(one.polled_s(now))
            ago = age if age == "never" else f"{age} ago"
            sys.stderr.write(f"streamer: {name}: last poll {ago}; --max-lag is {max_lag:g} s.\n")
        return CheckFailedError.exit_code
    return 0


def _draw(found: Sequence[Standing], late: Sequence[Standing], now: datetime) -> None:
    console = Console(highlight=False, markup=False, width=None if is_terminal() else PIPE_WIDTH)
    cells = [_cells(one, now) for one in found]
    used = sum(max(map(len, column)) + _GAP for column in zip(_TITLES, *cells, strict=True))
    # A name may be as long as its owner likes; what it says must not push the numbers away.
    left = max(_NAMES_AT_LEAST, console.width - used - _GAP)
    name_width = left * 3 // 5
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for title in ("environment", *_TITLES, "writer"):
        table.add_column(title, no_wrap=True, justify="right" if title in _NUMBERS else "left")
    names = Counter(one.checkpoint.environment.name for one in found)
    for one, (shard, sequence, polled, watermark, state) in zip(found, cells, strict=True):
        environment = one.checkpoint.environment
        is_clear = environment.name and names[environment.name] == 1
        name = Text(clipped(environment.name if environment.name and is_clear else environment.id))
        writer = Text(clipped(one.checkpoint.writer))
        name.truncate(name_width, overflow="ellipsis")
        writer.truncate(left - name_width, overflow="ellipsis")
        shown = Text(polled, style="bold red" if one in late else "")
        table.add_row(name, shard, sequence, shown, watermark, state, writer)
    console.print(table)
    console.print(Text(_AS_OF_CHECKPOINTS, style="dim"))


def _cells(one: Standing, now: datetime) -> tuple[str, str, str, str, str]:
    checkpoint = one.checkpoint
    ages = _age(one.polled_s(now)), _age(one.watermark_s(now))
    return (str(one.shard), f"{checkpoint.sequence:,}", *ages, checkpoint.state)


def _members(one: Standing, now: datetime, *, is_late: bool) -> dict[str, Any]:
    checkpoint = one.checkpoint
    return {
        "environment": checkpoint.environment.id,
        "name": checkpoint.environment.name,
        "account": checkpoint.account,
        "shard": one.shard,
        "state": checkpoint.state,
        "sequence": checkpoint.sequence,
        "head": checkpoint.head,
        "polled": _instant(checkpoint.polled),
        "polled_s": one.polled_s(now),
        "watermark": _instant(checkpoint.watermark),
        "watermark_s": one.watermark_s(now),
        "checkpoint_written": _instant(one.written),
        "writer": checkpoint.writer,
        "late": is_late,
    }


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    size, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
