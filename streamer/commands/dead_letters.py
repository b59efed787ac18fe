"""`streamer dead-letters`: what could not become a record, and its bytes as Flatfile sent them."""

from __future__ import annotations

import json as json_text
import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter, validators

from streamer.commands.letters import Letter, Letters, chunks, key_at
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.terminal import clipped, counted, is_terminal, shown
from streamer.config import load_settings
from streamer.errors import SettingsError, StreamerError
from streamer.kafka.client import Connection
from streamer.kafka.partitions import partition_of
from streamer.kafka.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

app = App(
    "dead-letters",
    help="What could not become a record: a line each, or the raw bytes of one.",
    group_parameters="Options",
)

_PLACE: Final = re.compile(r"([0-9]{1,9})/([0-9]{1,18})")
_NAMED_AT_MOST: Final = 10


@app.command(name="list")
async def list_(
    *,
    config: ConfigFile = None,
    environment: str | None = None,
    last: Annotated[int | None, Parameter(validator=validators.Number(gte=0))] = None,
    json: bool = False,
) -> int:
    """Show each: when, environment, reason, bytes, id, the stub's sequence, partition/offset.

    Args:
        config: TOML file with settings.
        environment: Only those of this one: its id.
        last: Show so many at most, the newest.
        json: Print each as JSON, one a line.
    """
    silence_logs()
    letters = Letters()
    async with _reading(config) as (reader, topic, partitions):
        async for chunk in chunks(reader, topic, _where(environment, partitions)):
            letters.take(chunk)
    found = letters.in_order
    if environment is not None:
        found = [one for one in found if one.part.key.environment == environment]
    if last is not None:
        found = found[max(0, len(found) - last) :]
    for line in map(_json, found) if json else _lines(found):
        sys.stdout.write(f"{line}\n")
    if not found:
        sys.stderr.write("streamer: no dead letter.\n")
    if letters.strangers:
        what = counted(letters.strangers, "message")
        sys.stderr.write(f"streamer: {what} in {topic} not from streamer; left out.\n")
    return 0


@app.command
async def show(which: str, /, *, config: ConfigFile = None, environment: str | None = None) -> int:
    """Write the raw bytes of one to standard output; at a terminal as text, with escapes.

    Args:
        which: As `dead-letters list` shows it: partition/offset, or the id.
        config: TOML file with settings.
        environment: Where several have the same id: the id of the environment.
    """
    silence_logs()
    letters = Letters(with_values=True)
    place = _PLACE.fullmatch(which)
    async with _reading(config) as (reader, topic, partitions):
        key, where = None, _where(environment, partitions)
        if place is not None:
            where = [each for each in partitions if each == int(place[1])]
            key = await key_at(reader, topic, where[0], int(place[2])) if where else None
            if key is None:
                raise _not_found(which)
        async for chunk in chunks(reader, topic, where):
            letters.take(chunk, key=key, id_=None if key else which)
    found = letters.in_order
    if environment is not None:
        found = [one for one in found if one.part.key.environment == environment]
    if not found:
        raise _not_found(which)
    if len(found) > 1:
        places = ", ".join(one.place for one in found[:_NAMED_AT_MOST])
        raise SettingsError(
            where=which,
            what=f"{len(found)} dead letters have this id, at {places}",
            next_step="Name one by its partition/offset.",
        )
    return _write(found[0])


def _write(letter: Letter) -> int:
    if is_terminal():
        sys.stdout.write(f"{shown(letter.raw.decode('utf-8', 'backslashreplace'))}\n")
    else:
        sys.stdout.buffer.write(letter.raw)
    sys.stdout.flush()
    if letter.missing:
        parts = ", ".join(map(str, letter.missing))
        sys.stderr.write(f"streamer: of {letter.part.parts} parts these are missing: {parts}.\n")
        return 1
    if letter.is_altered:
        sys.stderr.write("streamer: these are not the bytes whose SHA-256 the headers name.\n")
        return 1
    return 0


@asynccontextmanager
async def _reading(config: Path | None) -> AsyncIterator[tuple[LogReader, str, Sequence[int]]]:
    settings = load_settings(config).kafka
    topic = settings.dead_letter_topic
    async with LogReader(Connection(settings)) as reader:
        yield reader, topic, await reader.partitions_of(topic)


def _where(environment: str | None, partitions: Sequence[int]) -> Sequence[int]:
    """The partitions that have the dead letters of an environment, or all."""
    return partitions if environment is None else [partition_of(environment, len(partitions))]


def _lines(found: Sequence[Letter]) -> list[str]:
    rows = [
        (
            clipped(one.part.observed, 30),
            clipped(one.part.key.environment, 40),
            clipped(one.part.reason, 30),
            counted(one.size_bytes, "byte"),
            f"#{one.part.key.sequence}",
            one.place,
            clipped(one.part.id, 90) + ("  INCOMPLETE" if one.missing else ""),
        )
        for one in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _json(letter: Letter) -> str:
    part = letter.part
    members: dict[str, Any] = {
        "observed": part.observed,
        "environment": part.key.environment,
        "reason": part.reason,
        "id": part.id,
        "revision": part.revision,
        "sequence": part.key.sequence,
        "bytes": letter.size_bytes,
        "partition": part.key.partition,
        "offset": letter.offset,
        "parts": part.parts,
        "complete": not letter.missing,
        **dict([part.digest] if part.digest else []),
    }
    return json_text.dumps(members)


def _not_found(which: str) -> StreamerError:
    return StreamerError(
        where=clipped(which, 100),
        what="there is no such dead letter",
        next_step="`streamer dead-letters list` shows all of them.",
    )
