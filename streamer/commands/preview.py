"""`streamer preview`: the next records as they would be published. Nothing is written anywhere.

The records go the way that they go in `run`: cursor and walk, directory, normalize, redaction,
privacy, encoder. Where `run` stands is only known to Kafka, which is not asked: so this is what a
first run publishes first, and `sequence` and hashes count from the beginning.
"""

from __future__ import annotations

import math
import sys
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators

from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read
from streamer.audit.privacy import Privacy
from streamer.audit.sentence import UnreadableRecordError, parse
from streamer.capture.cursor import Cursor, Look
from streamer.capture.environments import Environments
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.printer import Printer
from streamer.commands.quiet import silence_logs
from streamer.commands.terminal import a_few, counted, shown
from streamer.config import load_settings
from streamer.enrichment.directory import Directory
from streamer.errors import FlatfileForbiddenError, FlatfileNotFoundError, SettingsError
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.lists import Lists
from streamer.flatfile.server_profile import ServerProfile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection

    from streamer.commands.tail_filter import Record
    from streamer.config import Settings
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.models import Environment
    from streamer.flatfile.pages import Page

RECORD_BYTES: Final = 1_048_588
"""What a broker takes that nobody has told otherwise. Source: Apache Kafka, `message.max.bytes`."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """A record that would be published."""

    value: bytes
    record: Record | None
    place: str


async def preview(
    *,
    config: ConfigFile = None,
    count: Annotated[
        int, Parameter(name=("--count", "-n"), validator=validators.Number(gte=1))
    ] = 20,
    environment: str | None = None,
    json: bool = False,
) -> int:
    """Show the next records as they would be published, from the real API.

    Nothing is written anywhere, and no Kafka is needed. So it is not known how far `run` has come:
    these are the records with which a first run begins (STREAMER_CAPTURE__START), and sequence
    numbers and hashes count from the beginning of each environment.

    Args:
        config: TOML file with settings.
        count: Show so many at most, over all environments.
        environment: Only this one: its id, or its name.
        json: Print each record exactly as it would lie in the topic, one a line.
    """
    silence_logs()
    settings = load_settings(config)
    if settings.capture.start == "now":
        _say(
            "nothing to show: STREAMER_CAPTURE__START is now, so nothing that has happened is "
            "published. Set it to earliest, or to a date-time, for a preview."
        )
        return 0
    printer = Printer(in_json=json)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(FlatfileClient(settings.flatfile))
        lists = Lists(client)
        environments = Environments(lists.environments, included=settings.capture.environments)
        await environments.refresh()
        directory = await stack.enter_async_context(
            Directory(lists, client, wait_s=settings.enrichment.wait, on_lookup=_count_nothing)
        )
        previewer = _Previewer(settings, client, directory, environments.account_id)
        chosen = _chosen(environments.known.values(), environment)
        for number, each in enumerate(chosen):
            # What one environment does not use of its share is left to the others.
            share = math.ceil((count - printer.printed) / (len(chosen) - number))
            try:
                async with aclosing(previewer.records(each, share)) as batches:
                    async for batch in batches:
                        printer.write(batch)
            except (FlatfileForbiddenError, FlatfileNotFoundError) as error:
                _say(f"without environment {each.name or each.id}: {error}")
            if printer.printed >= count:
                break
    _say(
        f"{counted(printer.printed, 'record')}, as in a first run: sequence and hashes count from "
        "the beginning. Nothing was written."
    )
    return 0


class _Previewer:
    """Makes records as an archiver does, up to the point where they would be offered to Kafka."""

    def __init__(
        self,
        settings: Settings,
        client: FlatfileClient,
        directory: Directory,
        account_id: str | None,
    ) -> None:
        self._settings = settings.capture
        self._client = client
        self._directory = directory
        self._account_id = account_id
        self._profile = ServerProfile(settings.capture.page_size)
        self._privacy = Privacy(settings.privacy.personal_data, settings.privacy.key_bytes)

    async def records(
        self, environment: Environment, most: int
    ) -> AsyncGenerator[list[Previewed], None]:
        """The first records of an environment, in the order in which they would be published."""
        start = self._settings.start
        floor = None if start == "earliest" else datetime.fromisoformat(start)
        cursor = Cursor(self._settings, self._profile, floor=floor)
        encoder = Encoder(
            environment, self._account_id, max_record_bytes=RECORD_BYTES, privacy=self._privacy
        )
        link = genesis(environment.id)

        async def fetch(request: PageRequest) -> Page:
            return await self._client.events_page(request, environment.id)

        async with aclosing(cursor.look(Look.FAST, fetch)) as captures:
            async for capture in captures:
                drafts = [read(one.row, one.revision) for one in capture.readings[:most]]
                names = await self._directory.names_for(drafts, environment.id, age_s=capture.age_s)
                sealed, link = encoder.encode(drafts, names, _now(), link)
                yield [_previewed(one.value, environment, one.sequence) for one in sealed]
                most -= len(drafts)
                if not most:
                    return


def _chosen(known: Collection[Environment], wanted: str | None) -> list[Environment]:
    chosen = [
        each
        for each in known
        if wanted is None or wanted == each.id or wanted.casefold() == each.name.casefold()
    ]
    if chosen:
        return chosen
    names = a_few([each.name or each.id for each in known])
    raise SettingsError(
        where="--environment" if wanted is not None else "environments",
        what="the account has none of that id or name"
        if wanted is not None
        else "the account shows none that is to be read",
        next_step=f"It has {names}."
        if names
        else "Correct STREAMER_CAPTURE__ENVIRONMENTS, or use credentials of the account.",
    )


def _previewed(value: bytes, environment: Environment, sequence: int) -> Previewed:
    try:
        record = parse(value)
    except UnreadableRecordError:
        record = None
    return Previewed(value, record, f"number {sequence} of {shown(environment.id)}")


def _count_nothing(_kind: str, _outcome: str) -> None:
    """Stand in for metrics."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _say(sentence: str) -> None:
    sys.stderr.write(f"streamer: {shown(sentence)}\n")
