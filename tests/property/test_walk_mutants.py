"""Each rule of the walk and the cursor is needed: without it some history loses or repeats an id.

Every mutant still passes the happy path, so what catches it is what the rule is for. A mutant
counts as caught by an assertion about ids only; that a walk did not end, or raised, is no catch.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from streamer.capture.cursor import Cursor, Look
from streamer.capture.sieve import PendingSieve
from streamer.config import CaptureSettings
from streamer.flatfile import newest_first as newest_first_module
from streamer.flatfile import walk as walk_module
from streamer.flatfile.listing import Batch, Scope
from streamer.flatfile.reader import Reader, Sighting
from streamer.flatfile.server_profile import ServerProfile
from streamer.flatfile.stretch import Stretch
from tests.support.generated_server import EndlessError, Fact, GeneratedServer, ServerReading
from tests.support.histories import History, run

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.capture.position import Capture

MOST_HISTORIES = 700
Patch = Callable[[object, str, Any], None]


def drop_the_margin(patch: Patch) -> None:
    """`since` is the second of the newest row, not the one before."""
    patch(walk_module, "whole_second_before", lambda moment: moment.replace(microsecond=0))


def trust_a_short_page(patch: Patch) -> None:
    """A page shorter than asked for is the last, whatever the cap."""
    patch(ServerProfile, "is_last", lambda _self, rows, asked: rows < asked)


def end_where_nothing_is_new(patch: Patch) -> None:
    """A page that brings nothing new is the last."""
    read = Reader.read

    async def ending(self: Reader[Any], since: datetime | None, number: int, size: int) -> Sighting:
        sighting = await read(self, since, number, size)
        return replace(sighting, last=sighting.last or not sighting.news)

    patch(Reader, "read", ending)


def take_any_page(patch: Patch) -> None:
    """A page that begins too late is taken all the same: nothing has vanished."""
    advance = Stretch._advance

    async def taking(self: Stretch[Any], begin: int, _admits: object, bound: datetime) -> None:
        await advance(self, begin, lambda _first, _bound: True, bound)

    patch(Stretch, "_advance", taking)


def cross_instants_once(patch: Patch) -> None:
    """An instant larger than a page is crossed by plain numbers, once."""

    async def crossing(self: Stretch[Any]) -> AsyncGenerator[None, None]:
        instant = self._last_at
        while not self.last.last and self._not_after(self._last_at, instant):
            await self._advance_within(instant)
            yield
        self._go_to(instant)
        self._settle()

    patch(Stretch, "_cross", crossing)


def sweep_behind_the_watermark(patch: Patch) -> None:
    """A sweep begins at the watermark less the window."""
    scope_of = Cursor._scope

    def behind(self: Cursor, kind: Look, **options: bool) -> Scope:
        scope = scope_of(self, kind, **options)
        watermark = self._read.watermark
        if not scope.steady or scope.start is None or watermark is None:
            return scope
        return replace(scope, start=max(scope.start, watermark - self._windows.sweep))

    patch(Cursor, "_scope", behind)


def claim_before_proof(patch: Patch) -> None:
    """The watermark is the newest row of the page that was read last."""
    settle = Stretch._settle

    def claiming(self: Stretch[Any]) -> None:
        settle(self)
        self.settled = self._last_at

    patch(Stretch, "_settle", claiming)


def claim_from_the_near_end(patch: Patch) -> None:
    """Newest first, the first page already moves the watermark."""
    from_the_far_end = newest_first_module._from_the_far_end

    async def claiming(reader: Reader[Any], since: datetime | None) -> AsyncGenerator[Any, None]:
        yield Batch(reader.take(), reader.begun_at, reader.begun_at)
        async with aclosing(from_the_far_end(reader, since)) as batches:
            async for batch in batches:
                yield batch

    patch(newest_first_module, "_from_the_far_end", claiming)


def call_every_look_complete(patch: Patch) -> None:
    """`polled` moves with the first capture of a look."""
    capture = Cursor._capture

    def completing(self: Cursor, kind: Look, batch: Batch[Any], *, joins: bool) -> Capture:
        return capture(self, kind, replace(batch, complete=True), joins=joins)

    patch(Cursor, "_capture", completing)


def forget_at_a_restart(patch: Patch) -> None:
    """What was published is not read back."""
    patch(Cursor, "restore", lambda _self, _record, _offset: None)


def keep_too_short_a_tail(patch: Patch) -> None:
    """A checkpoint's tail is the partition's end."""
    patch(Cursor, "tail_after", lambda _self, _capture, _first, end_offset: end_offset)


def confirm_before_the_commit(patch: Patch) -> None:
    """A checkpoint says how far has been read, not how far has been published."""
    stored = "_confirmed_position"
    patch(
        Cursor,
        "position",
        property(
            lambda self: getattr(self, "_read", None) or self.__dict__[stored],
            lambda self, position: self.__dict__.__setitem__(stored, position),
        ),
    )


def keep_what_a_failed_look_had_read(patch: Patch) -> None:
    """Rows that were read and never captured still count as seen."""
    patch(PendingSieve, "forget_all_but", lambda _self, _captured: None)


def count_no_revisions(patch: Patch) -> None:
    """A further revision is published as the first."""
    patch(PendingSieve, "_next_revision", lambda _self, _digest: 1)


MUTANTS = (
    drop_the_margin,
    trust_a_short_page,
    end_where_nothing_is_new,
    take_any_page,
    cross_instants_once,
    sweep_behind_the_watermark,
    claim_before_proof,
    claim_from_the_near_end,
    call_every_look_complete,
    forget_at_a_restart,
    keep_too_short_a_tail,
    confirm_before_the_commit,
    keep_what_a_failed_look_had_read,
    count_no_revisions,
)


def take_the_happy_path() -> None:
    """Read a backlog of 25 pages and live events after it; nothing goes wrong."""
    reading = ServerReading("oldest", "inclusive", "milliseconds", 20)
    for order in ("oldest", "newest"):
        server = GeneratedServer(replace(reading, order=order), 1)
        server.now_s = 1000.0
        for number in range(530):
            server.add(Fact(f"e{number}", 500.0 + number, 500.0 + number))
        cursor = Cursor(CaptureSettings(page_size=20), ServerProfile(20))
        ids: list[str | None] = []
        for _ in range(30):
            for kind in (Look.FAST, Look.WIDE, Look.SWEEP):
                run(_look(cursor, server, kind, ids))
            server.pass_time(2.0)
        assert sorted(ids, key=str) == sorted((fact.id for fact in server.facts), key=str)


async def _look(cursor: Cursor, server: GeneratedServer, kind: Look, ids: list[str | None]) -> None:
    async with aclosing(cursor.look(kind, server.fetch)) as captures:
        async for capture in captures:
            ids += [reading.row.id for reading in capture.readings]
            cursor.confirm(capture, len(ids) if capture.readings else None)


def test_happy_path_is_happy() -> None:
    """Without a mutant, the happy path holds."""
    take_the_happy_path()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_walk_without_one_of_its_rules_loses_or_repeats_an_id(
    mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant passes the happy path, and some history catches it by an id."""
    mutant(lambda owner, name, value: monkeypatch.setattr(owner, name, value, raising=False))
    take_the_happy_path()
    found = next(filter(None, map(what_is_wrong_with, range(MOST_HISTORIES))), None)
    assert found is not None, f"no id was lost or repeated in {MOST_HISTORIES} histories"
    assert found.startswith("ids "), found
    print(found)  # noqa: T201


def what_is_wrong_with(seed: int) -> str | None:
    """Return what a history finds wrong; a walk that does not end is no finding."""
    try:
        History(seed).live()
    except EndlessError:
        return None
    except AssertionError as error:
        return str(error).splitlines()[0]
    return None
