"""One environment's positions, against a server that is honest unless the test says otherwise."""

from __future__ import annotations

import weakref
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pytest

from streamer.capture.cursor import Cursor, Look
from streamer.capture.position import Capture, Position
from streamer.capture.seen import Remembered
from streamer.config import CaptureSettings
from streamer.errors import FlatfileUnavailableError
from streamer.flatfile.models import BrokenEvent, Event, Row
from streamer.flatfile.pages import Page
from streamer.flatfile.server_profile import ServerProfile
from tests.support.generated_server import Fact, GeneratedServer, ServerReading, at

if TYPE_CHECKING:
    from streamer.flatfile.listing import PageRequest

CENTURY_S = 86_400 * 365 * 73.0


@pytest.fixture
def server() -> GeneratedServer:
    """Serves pages of 10, the oldest first; it is 1,000 s after the origin."""
    server = GeneratedServer(ServerReading("oldest", "inclusive", "milliseconds", 10), 1)
    server.now_s = 1000.0
    return server


def add(server: GeneratedServer, *created_s: float, visible_s: float | None = None) -> None:
    """Let events happen, shown when they happen or at another time."""
    for moment_s in created_s:
        shown_s = moment_s if visible_s is None else visible_s
        server.add(Fact(f"e{len(server.facts)}", moment_s, shown_s))


def new_cursor(**settings: object) -> Cursor:
    """Return a cursor at the beginning."""
    return Cursor(CaptureSettings.model_validate(settings), ServerProfile(10))


async def captures_of(
    cursor: Cursor, server: GeneratedServer, kind: Look = Look.FAST
) -> list[Capture]:
    """Take one look, and confirm all of it."""
    captures = []
    async with aclosing(cursor.look(kind, server.fetch)) as looked:
        async for capture in looked:
            captures.append(capture)
            cursor.confirm(capture, 0 if capture.readings else None)
    return captures


def ids(captures: list[Capture]) -> list[str | None]:
    """Return what came out."""
    return [reading.row.id for capture in captures for reading in capture.readings]


async def test_empty_environment_is_polled_without_a_watermark(server: GeneratedServer) -> None:
    """Where there is nothing, a look is complete all the same."""
    cursor = new_cursor()
    (capture,) = await captures_of(cursor, server)
    assert capture.readings == []
    assert not capture.more
    assert cursor.position.polled == capture.server_at
    assert cursor.position.watermark is None


class Rows(list[Row]):
    """The rows of a page, whose end can be seen."""


@pytest.mark.parametrize("order", ["oldest", "none"])
async def test_rows_that_were_captured_are_not_held_while_the_next_page_is_waited_for(
    order: Literal["oldest", "none"],
) -> None:
    """A thousand environments may wait for room, or for an answer: with nothing in their hands."""
    server = GeneratedServer(ServerReading(order, "inclusive", "milliseconds", 10), 1)
    server.now_s = 1000.0
    add(server, *range(900, 990))
    shown: list[weakref.ref[Rows]] = []
    held: list[int] = []

    async def fetch(request: PageRequest) -> Page:
        held.append(sum(rows() is not None for rows in shown))
        page = await server.fetch(request)
        rows = Rows(page.rows)
        shown.append(weakref.ref(rows))
        return replace(page, rows=rows)

    async with aclosing(new_cursor().look(Look.FAST, fetch)) as looked:
        async for capture in looked:
            capture.readings.clear()
    assert len(held) > 3
    assert not any(held)


async def test_only_a_complete_look_counts_as_a_poll(server: GeneratedServer) -> None:
    """The watermark moves with each capture, `polled` only with the last one of a look."""
    add(server, *range(900, 990))
    cursor = new_cursor()
    captures = await captures_of(cursor, server)
    assert len(captures) > 3
    assert [capture.position.polled is None for capture in captures[:-1]] == [True] * (
        len(captures) - 1
    )
    assert captures[-1].position.polled == captures[0].server_at
    assert cursor.position.watermark == at(989)


async def test_confirmed_position_moves_only_when_confirmed(server: GeneratedServer) -> None:
    """Reading ahead leaves alone what a checkpoint may say."""
    add(server, *range(900, 990))
    cursor = new_cursor()
    async with aclosing(cursor.look(Look.FAST, server.fetch)) as looked:
        first = await anext(looked)
        second = await anext(looked)
        assert cursor.position == Position()
        cursor.confirm(first, 0)
        assert cursor.position == first.position
        assert set(ids([first])).isdisjoint(ids([second]))


async def test_captures_are_confirmed_in_order(server: GeneratedServer) -> None:
    """Confirming the second before the first is refused: its position would cover the first."""
    add(server, *range(900, 990))
    cursor = new_cursor()
    async with aclosing(cursor.look(Look.FAST, server.fetch)) as looked:
        await anext(looked)
        second = await anext(looked)
        with pytest.raises(ValueError, match="in the order"):
            cursor.confirm(second, 10)


async def test_what_a_failed_look_had_read_comes_out_of_the_next(server: GeneratedServer) -> None:
    """Rows that were read but not captured when a request failed are not taken for published."""
    server.reading = ServerReading("newest", "inclusive", "milliseconds", 10)
    add(server, *range(900, 960))
    cursor = new_cursor()

    async def failing(request: PageRequest) -> Page:
        if server.requests == 4:
            server.requests += 1
            raise FlatfileUnavailableError(where="GET /events", what="503", next_step="Wait.")
        return await server.fetch(request)

    looked = cursor.look(Look.FAST, failing)
    with pytest.raises(FlatfileUnavailableError):
        await anext(looked)
    assert sorted(ids(await captures_of(cursor, server)), key=str) == sorted(
        (fact.id for fact in server.facts), key=str
    )


async def test_events_dated_2099_blind_nothing(server: GeneratedServer) -> None:
    """Sixty events from the future are published, and so is what comes after them."""
    add(server, *[CENTURY_S] * 60, visible_s=0)
    add(server, 990)
    cursor = new_cursor()
    await captures_of(cursor, server)
    assert cursor.position.watermark is not None
    assert cursor.position.watermark <= at(server.now_s)
    for moment_s in range(1010, 1100, 10):
        add(server, moment_s)
        server.now_s = moment_s + 1.0
        assert ids(await captures_of(cursor, server)) == [server.facts[-1].id]


async def test_event_late_by_all_of_the_sweep_window_is_found(server: GeneratedServer) -> None:
    """A sweep begins where the last one's beginning less the window was, not at the watermark's."""
    cursor = new_cursor(sweep_window=60)
    add(server, 999)
    await captures_of(cursor, server)
    server.now_s = 1010.0
    await captures_of(cursor, server, Look.SWEEP)
    add(server, 955, visible_s=1014)
    add(server, 1060)
    server.now_s = 1061.0
    assert ids(await captures_of(cursor, server)) == ["e2"]
    assert ids(await captures_of(cursor, server, Look.SWEEP)) == ["e1"]


async def test_interrupted_sweep_is_not_a_sweep(server: GeneratedServer) -> None:
    """`swept` moves with the last capture of a sweep, not with its first."""
    cursor = new_cursor()
    await captures_of(cursor, server)
    swept = cursor.position.swept
    add(server, *[900.0 + step for step in range(60)], visible_s=1005)
    server.now_s = 1010.0
    async with aclosing(cursor.look(Look.SWEEP, server.fetch)) as looked:
        cursor.confirm(await anext(looked), 0)
    assert cursor.position.swept == swept


async def test_larger_sweep_window_repeats_nothing(server: GeneratedServer) -> None:
    """Raised from an hour to a day between two runs, the window grows as time passes."""
    server.now_s = 10_000.0
    add(server, *range(100, 9_900, 100))
    cursor = new_cursor(sweep_window=3600)
    await captures_of(cursor, server)
    server.now_s = 10_100.0
    await captures_of(cursor, server, Look.SWEEP)
    settings = CaptureSettings(sweep_window=86_400)
    raised = Cursor(settings, ServerProfile(10), position=cursor.position)
    seen_from = cursor.position.seen_from
    assert seen_from is not None
    for fact in server.facts:
        if fact.created_at >= seen_from:
            raised.restore(Remembered(fact.id, fact.created_at), 0)
    assert ids(await captures_of(raised, server, Look.SWEEP)) == []
    assert raised.position.seen_from == seen_from


async def test_quiet_environment_lets_its_tail_go(server: GeneratedServer) -> None:
    """`seen_from` follows the polls where nothing happens, so that a month is not read back."""
    cursor = new_cursor(sweep_window=60)
    add(server, 990)
    await captures_of(cursor, server)
    server.now_s = 86_400.0 * 30
    await captures_of(cursor, server)
    await captures_of(cursor, server, Look.SWEEP)
    assert cursor.position.watermark == at(990)
    assert cursor.tail(77) == 77


async def test_start_is_the_floor_of_every_look() -> None:
    """Nothing older than `START` is published, also by a sweep; what is newer is."""
    server = GeneratedServer(ServerReading("oldest", "inclusive", "rounded to seconds", 10), 1)
    server.now_s = 1000.0
    add(server, 979.9, 980.0, 980.1)
    cursor = Cursor(CaptureSettings(), ServerProfile(10), floor=at(980))
    await captures_of(cursor, server)
    server.now_s = 1100.0
    add(server, 979.95, 981, visible_s=1090)
    assert ids(await captures_of(cursor, server, Look.SWEEP)) == ["e4"]
    assert cursor.dropped == 0


async def test_excluded_topics_move_the_position_and_nothing_else(server: GeneratedServer) -> None:
    """A capture whose events are all excluded is empty, and its watermark is theirs."""
    server.add(Fact("cron", 990, 990, topic="cron:hourly"))
    cursor = new_cursor(exclude_topics="cron:*")
    (capture,) = await captures_of(cursor, server)
    assert capture.readings == []
    assert capture.position.watermark == at(990)


async def test_event_erased_later_is_one_further_revision(server: GeneratedServer) -> None:
    """`deletedAt` set on a published event makes revision 2, once, whatever is shown again."""
    server.add(Fact("e0", 990, 990, deleted_s=1010))
    cursor = new_cursor()
    await captures_of(cursor, server)
    server.now_s = 1020.0
    (capture,) = await captures_of(cursor, server, Look.WIDE)
    (reading,) = capture.readings
    assert (reading.row.id, reading.revision) == ("e0", 2)
    assert ids(await captures_of(cursor, server, Look.SWEEP)) == []
    server.facts[0].deleted_s = 1e9  # A lagging replica shows it undeleted again.
    assert ids(await captures_of(cursor, server, Look.SWEEP)) == []


async def test_revision_counts_on_after_a_restart(server: GeneratedServer) -> None:
    """What was published before the process died is not published again as a revision."""
    server.add(Fact("e0", 990, 990, deleted_s=995))
    cursor = new_cursor()
    await captures_of(cursor, server)
    restarted = Cursor(CaptureSettings(), ServerProfile(10), position=cursor.position)
    restarted.restore(Remembered("e0", at(990), 1, "995"), 0)
    assert ids(await captures_of(restarted, server, Look.SWEEP)) == []
    server.facts[0].deleted = Event(id="e0", topic="a:b", created_at="", deleted_at="other")
    (capture,) = await captures_of(restarted, server, Look.SWEEP)
    assert capture.readings[0].revision == 2


async def test_row_without_time_or_id_comes_out_once(server: GeneratedServer) -> None:
    """A broken row takes a neighbour's time, and its bytes are its identity."""
    add(server, 990, 992)
    broken = BrokenEvent(raw=b'{"id":', reason="not_json")

    async def fetch(request: PageRequest) -> Page:
        page = await server.fetch(request)
        if request.number > 1:
            return page
        rows, times = [*page.rows], [*page.times]
        rows.insert(1, broken)
        times.insert(1, None)
        return Page(rows, times, page.server_at, page.size_bytes)

    cursor = new_cursor()
    readings = []
    for kind in (Look.FAST, Look.WIDE, Look.SWEEP):
        async with aclosing(cursor.look(kind, fetch)) as looked:
            async for capture in looked:
                readings += capture.readings
                cursor.confirm(capture, 0 if capture.readings else None)
    assert [reading.row for reading in readings].count(broken) == 1
    assert len(readings) == 3
    assert readings[1].created_at == at(990)


async def test_without_the_servers_time_no_position_moves(server: GeneratedServer) -> None:
    """Our own clock is no substitute: events come out, and the environment counts as stalled."""
    add(server, 990)

    async def fetch(request: PageRequest) -> Page:
        page = await server.fetch(request)
        return Page(page.rows, page.times, None, page.size_bytes)

    cursor = new_cursor()
    async with aclosing(cursor.look(Look.FAST, fetch)) as looked:
        capture = await anext(looked)
    assert ids([capture]) == ["e0"]
    assert capture.position == Position()


async def test_stepping_back_forgets_what_the_records_do_not_bear_out(
    server: GeneratedServer,
) -> None:
    """After a torn transaction a look begins where the records end."""
    add(server, *range(900, 990))
    cursor = new_cursor()
    await captures_of(cursor, server)
    restored = Cursor(CaptureSettings(), ServerProfile(10), position=cursor.position)
    restored.step_back(at(950))
    for fact in server.facts[:51]:
        restored.restore(Remembered(fact.id, fact.created_at), 0)
    assert ids(await captures_of(restored, server)) == [fact.id for fact in server.facts[51:]]


def test_times_before_the_calendar_are_its_beginning() -> None:
    """A watermark in the year 1 does not overflow what lies before it."""
    moment = datetime.min.replace(tzinfo=at(0).tzinfo) + timedelta(seconds=1)
    cursor = Cursor(
        CaptureSettings(), ServerProfile(10), position=Position(moment, moment, moment, None)
    )
    assert cursor._scope(Look.SWEEP).start is not None
