"""`streamer tail`: the records of the audit topic as lines for people, or as their bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from streamer.commands.moments import Moment  # noqa: TC001 (the command line reads it)
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.printer import Printer
from streamer.commands.quiet import silence_logs
from streamer.commands.selection import Found, Selection, Spans
from streamer.commands.standings import standings
from streamer.commands.tail_filter import Filter, happened_at, is_named
from streamer.commands.terminal import a_few
from streamer.config import load_settings
from streamer.errors import SettingsError, StreamerError
from streamer.kafka.client import Connection
from streamer.kafka.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Iterable

LAST: Final = 20
"""How many records are shown where nothing says from where on."""

_NOT_NEGATIVE: Final = Parameter(validator=validators.Number(gte=0))


async def tail(  # noqa: PLR0913 - one parameter per option of the command line
    *,
    config: ConfigFile = None,
    last: Annotated[int | None, _NOT_NEGATIVE] = None,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"))] = False,
    environment: str | None = None,
    space: str | None = None,
    action: str | None = None,
    actor: str | None = None,
    since: Moment = None,
    until: Moment = None,
    from_sequence: Annotated[int | None, _NOT_NEGATIVE] = None,
    by_time: bool = False,
    json: bool = False,
) -> int:
    """Show published records, a line each: when, in which environment, who did what.

    Only what is committed is shown. Without --since, --until and --from-sequence it is the last 20
    records that match, over all environments, in the order in which they were published.

    Args:
        config: TOML file with settings.
        last: Show so many at most, the newest. Default: 20, or all from --since on.
        follow: Go on with what is published from now on, until Ctrl-C.
        environment: Only this one: its id, or its name.
        space: Only this one: its id, or its name.
        action: Only these, as a pattern: 'workbook:*', '*:deleted'.
        actor: Only whose id, name or e-mail address contains this; upper or lower case.
        since: Only what happened then or later: a date-time with its zone, or 15m, 2h, 7d.
        until: Only what happened before: likewise.
        from_sequence: Only from this number of its environment's records on.
        by_time: Order by when it happened, not by when it was published.
        json: Print each record exactly as it lies in the topic, one a line.
    """
    if follow and (until is not None or by_time):
        raise SettingsError(
            where="--follow",
            what="it goes on with what is published next, which has no end and no other order",
            next_step=f"Leave out {'--until' if until is not None else '--by-time'} or --follow.",
        )
    if last == 0 and not follow:
        raise SettingsError(
            where="--last",
            what="the last 0 records are none",
            next_step="Give 1 or more; with --follow, 0 shows only what is published from now on.",
        )
    silence_logs()
    wanted = Filter(environment, space, action, actor, since, until, from_sequence)
    if last is None and since is None and until is None and from_sequence is None:
        last = LAST
    settings = load_settings(config).kafka
    printer = Printer(in_json=json)
    connection = Connection(settings)
    async with LogReader(connection) as reader:
        partitions = await reader.partitions_of(settings.audit_topic)
        selection = Selection(reader, settings.audit_topic, wanted)
        spans = await selection.spans(partitions)
        await _show(selection, spans, printer, last=last, by_time=by_time)
        if not printer.printed and last != 0:
            why = await _unknown_environment(connection, settings.checkpoint_topic, wanted)
            sys.stderr.write(f"streamer: no record matches{' so far' if follow else ''}{why}.\n")
        if follow:
            async for batch in selection.follow({p: end for p, (_, end) in spans.items()}):
                printer.write(batch)
        if selection.unreadable and not wanted.asks_nothing:
            sys.stderr.write(
                f"streamer: {selection.unreadable} records could not be read, so they are left "
                "out; without filters, --json prints them.\n"
            )
    return 0


async def _show(
    selection: Selection, spans: Spans, printer: Printer, *, last: int | None, by_time: bool
) -> None:
    if last is not None:
        found = await selection.newest(spans, last)
        printer.write(_by_time(found) if by_time else found)
    elif by_time:
        printer.write(_by_time([each async for batch in selection.all(spans) for each in batch]))
    else:
        async for batch in selection.all(spans):
            printer.write(batch)


async def _unknown_environment(
    connection: Connection, checkpoint_topic: str, wanted: Filter
) -> str:
    """Say which environments there are, if the one that is asked for is none of them."""
    if wanted.environment is None:
        return ""
    try:
        # Another reader: one that has read a topic knows no other.
        async with LogReader(connection) as reader:
            found = await standings(reader, checkpoint_topic)
    except StreamerError:
        return ""
    known = [each.checkpoint.environment for each in found]
    if any(is_named(wanted.environment, {"id": each.id, "name": each.name}) for each in known):
        return ""
    names = a_few([each.name or each.id for each in known])
    return f": no environment has that id or name; there are {names}" if names else ""


def _by_time(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=_time_order)


def _time_order(found: Found) -> tuple[float, tuple[int, int, int]]:
    at = None if found.record is None else happened_at(found.record)
    return (float("-inf") if at is None else at.timestamp()), found.order
