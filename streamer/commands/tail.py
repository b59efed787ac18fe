"""`streamer tail`: the records of the audit topic as lines for people, or as their bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from streamer.commands.moments import Moment  # noqa: TC001 (the command line reads it)
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.printer import Printer
from streamer.commands.quiet import silence_logs
from streamer.commands.selection import Found, Selection
from streamer.commands.tail_filter import Filter, happened_at
from streamer.config import load_settings
from streamer.errors import SettingsError, TopicError
from streamer.kafka.client import Connection
from streamer.kafka.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    silence_logs()
    wanted = Filter(environment, space, action, actor, since, until, from_sequence)
    if last is None and since is None and until is None and from_sequence is None:
        last = LAST
    settings = load_settings(config).kafka
    printer = Printer(in_json=json)
    async with LogReader(Connection(settings)) as reader:
        partitions = await reader.partitions(settings.audit_topic)
        if not partitions:
            raise _no_topic(settings.audit_topic)
        selection = Selection(reader, settings.audit_topic, wanted)
        await _show(selection, partitions, printer, last=last, by_time=by_time, follow=follow)
        if not printer.printed:
            sys.stderr.write("streamer: no record matches.\n")
        if selection.unreadable and not wanted.asks_nothing:
            sys.stderr.write(
                f"streamer: {selection.unreadable} records could not be read, so they are left "
                "out; without filters, --json prints them.\n"
            )
    return 0


async def _show(
    selection: Selection,
    partitions: Sequence[int],
    printer: Printer,
    *,
    last: int | None,
    by_time: bool,
    follow: bool,
) -> None:
    spans = await selection.spans(partitions)
    if last is not None:
        found = await selection.newest(spans, last)
        printer.write(_by_time(found) if by_time else found)
    elif by_time:
        printer.write(_by_time([each async for batch in selection.all(spans) for each in batch]))
    else:
        async for batch in selection.all(spans):
            printer.write(batch)
    if follow:
        async for batch in selection.follow({p: end for p, (_, end) in spans.items()}):
            printer.write(batch)


def _by_time(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=_time_order)


def _time_order(found: Found) -> tuple[float, tuple[int, int, int]]:
    at = None if found.record is None else happened_at(found.record)
    return (float("-inf") if at is None else at.timestamp()), found.order


def _no_topic(topic: str) -> TopicError:
    return TopicError(
        where=f"topic {topic}",
        what="it does not exist",
        next_step="Check STREAMER_KAFKA__TOPIC_PREFIX and that `streamer run` has run.",
    )
