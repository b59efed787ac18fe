"""`streamer inventory`: what the account holds, from the topic or from the API."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import App, Parameter

from streamer.commands.inventory_matrix import as_sheet, draw_matrix
from streamer.commands.inventory_rows import Rows, name_of
from streamer.commands.inventory_topic import from_topic
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.sheet import draw, write_csv
from streamer.commands.terminal import clipped, shown
from streamer.config import load_settings
from streamer.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from streamer.commands.sheet import Sheet
    from streamer.flatfile.objects import Kind
    from streamer.inventory.message import Message

app = App(
    "inventory",
    help="What the account holds: from the topic, as the daemon keeps it, or from the API.",
    group_parameters="Options",
)

UNAVAILABLE: Final = 1
"""Exit code where something could not be listed."""

_NEEDED: Final[dict[Kind, tuple[Kind, ...]]] = {
    "environment": ("environment", "space", "agent", "guest"),
    "space": ("environment", "space"),
    "agent": ("environment", "agent"),
    "user": ("environment", "user"),
    "guest": ("environment", "space", "guest"),
}
"""What is read to show one kind: names of places, and counts."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Output:
    """Options of every kind.

    Attributes:
        config: TOML file with settings.
        filter: Only whose name, address, slug or id contains this; upper or lower case.
        unreported: Only what changed last without an event to tell of it.
        live: Ask the API, instead of reading the topic; guests take a request for each space.
        json: Print each object as JSON, one a line, as it is in the topic.
        csv: Print a spreadsheet's rows: every column, whatever the width.
    """

    config: ConfigFile = None
    filter: Annotated[str | None, Parameter(name="--filter")] = None
    unreported: bool = False
    live: bool = False
    json: bool = False
    csv: bool = False


_OUTPUT: Final = Output()


@app.command
async def environments(*, output: Output = _OUTPUT) -> int:
    """Show the environments, and how many spaces, agents and guests each has."""
    found = await _find("environment", output)
    return found.write(found.rows.environments(found.chosen))


@app.command
async def spaces(
    *,
    output: Output = _OUTPUT,
    environment: str | None = None,
    matrix: bool = False,
) -> int:
    """Show the spaces, the archived ones too, and how many each environment has.

    Args:
        output: What to read, and how to print it.
        environment: Only of this one: its id, or its name.
        matrix: Show which names of spaces exist in which environments instead.
    """
    found = await _find("space", output, environment)
    if matrix:
        return found.write_matrix()
    code = found.write(found.rows.spaces(found.chosen))
    if found.chosen and not (output.json or output.csv):
        sys.stdout.write("\n")
        draw(found.rows.space_counts(found.chosen))
    return code


@app.command
async def agents(*, output: Output = _OUTPUT, environment: str | None = None) -> int:
    """Show the agents: where, since when, and in how many environments their code is the same.

    Args:
        output: What to read, and how to print it.
        environment: Only of this one: its id, or its name.
    """
    found = await _find("agent", output, environment)
    return found.write(found.rows.agents(found.chosen))


@app.command
async def users(*, output: Output = _OUTPUT) -> int:
    """Show the users of the account. No event tells of any change of them."""
    found = await _find("user", output)
    return found.write(found.rows.users(found.chosen))


@app.command
async def guests(*, output: Output = _OUTPUT, environment: str | None = None) -> int:
    """Show the guests, and the spaces that they can reach.

    Args:
        output: What to read, and how to print it.
        environment: Only of this one: its id, or its name.
    """
    found = await _find("guest", output, environment)
    return found.write(found.rows.guests(found.chosen))


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found, and how it is to be printed.

    Attributes:
        chosen: The objects that were asked for.
        rows: Makes sheets of them.
        failures: What could not be listed.
    """

    chosen: Sequence[Message]
    rows: Rows
    failures: Sequence[str]
    output: Output

    def write(self, sheet: Sheet) -> int:
        """Print the objects, as they are or as rows."""
        if self.output.json:
            for one in self.chosen:
                sys.stdout.write(f"{json_text.dumps(msgspec.to_builtins(one))}\n")
        elif self.output.csv:
            write_csv(sheet)
        elif self.chosen:
            draw(sheet)
        return self.end()

    def write_matrix(self) -> int:
        """Print which names exist where."""
        places, named = self.rows.matrix(self.chosen)
        if self.output.json:
            for name, having in named.items():
                line = json_text.dumps({"name": name, "environments": sorted(having)})
                sys.stdout.write(f"{line}\n")
        elif self.output.csv:
            write_csv(as_sheet(places, named))
        else:
            draw_matrix(places, named)
        return self.end()

    def end(self) -> int:
        """Say what is missing, and return the exit code."""
        if not self.chosen:
            sys.stderr.write("streamer: nothing is there that matches.\n")
        for failure in self.failures:
            sys.stderr.write(f"streamer: {shown(failure)}\n")
        return UNAVAILABLE if self.failures else 0


async def _find(kind: Kind, output: Output, environment: str | None = None) -> _Found:
    if output.json and output.csv:
        raise SettingsError(
            where="--json and --csv", what="one excludes the other", next_step="Leave one out."
        )
    silence_logs()
    settings = load_settings(output.config)

    def is_wanted(place: Message) -> bool:
        return (
            environment is None
            or environment == place.id
            or environment.casefold() == name_of(place).casefold()
        )

    failures: Sequence[str] = ()
    if output.live:
        from streamer.commands.inventory_live import Live  # noqa: PLC0415 (slow to import)

        live = Live(settings)
        found = await live.read(_NEEDED[kind], is_wanted)
        failures = live.failures
    else:
        found = await from_topic(settings.kafka, _NEEDED[kind])
    places = {one.id for one in found if one.kind == "environment" and is_wanted(one)}
    if environment is not None and not places:
        raise _no_such(environment, [one for one in found if one.kind == "environment"])
    chosen = [
        one
        for one in found
        if one.kind == kind
        and (environment is None or one.environment_id in places)
        and (not output.unreported or one.observed_only)
        and _contains(one, output.filter)
    ]
    return _Found(chosen, Rows(found, datetime.now(UTC)), failures, output)


def _contains(one: Message, text: str | None) -> bool:
    if text is None:
        return True
    said = (one.object.get(member) for member in ("name", "email", "slug", "id"))
    return any(text.casefold() in each.casefold() for each in said if isinstance(each, str))


def _no_such(environment: str, known: Collection[Message]) -> SettingsError:
    return SettingsError(
        where=f"--environment {clipped(environment, 60)}",
        what=f"none of the {len(known)} environments has this id or name",
        next_step="`streamer inventory environments` shows all of them.",
    )
