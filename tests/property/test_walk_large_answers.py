"""Answers that are too large are asked for in smaller pages, and lose and repeat nothing either.

The histories are those of `test_walk_histories`, with their checks; here some events are huge.
"""

from __future__ import annotations

import random
from contextlib import aclosing

import pytest

from streamer.capture.cursor import Cursor, Look
from streamer.config import CaptureSettings
from streamer.errors import AnswerTooLargeError
from streamer.flatfile.server_profile import ServerProfile
from tests.support.generated_server import Fact, GeneratedServer, Order, ServerReading
from tests.support.histories import History, run

MOST_BYTES = 3000
MOST_EVENTS = 400
"""A row at a time, longer histories take too many requests."""

ORDERS: tuple[Order, ...] = ("oldest", "newest", "none")


def with_huge_events(seed: int) -> History:
    """Return a history in which one event in 40 is larger than any answer may be.

    None of them vanishes; and a listing whose groups span more than eight pages, as these small
    ones do, is left out: see the limits of `walk`.
    """
    history = History(seed)
    dice = random.Random(seed)  # noqa: S311
    history.server.most_bytes = MOST_BYTES * dice.choice((1, 3, 10))
    for fact in history.server.facts:
        fact.gone_s = float("inf")
        if dice.random() < 0.025:
            fact.size_bytes = 100_000
    return history


@pytest.mark.timeout(180)
@pytest.mark.parametrize("chunk", range(2))
def test_huge_events_lose_and_repeat_nothing(chunk: int) -> None:
    """Where pages are refused for their size, every event comes out exactly once all the same."""
    refused = 0
    for seed in range(100 * chunk, 100 * chunk + 100):
        history = with_huge_events(seed)
        server = history.server
        if len(server.facts) > MOST_EVENTS or "group" in server.reading.disorder:
            continue
        try:
            history.live()
        except Exception as error:
            error.add_note(f"in history {seed}: {server.reading}, {server.most_bytes} bytes")
            raise
        refused += server.refused
    assert refused > 500


@pytest.mark.parametrize("order", ORDERS)
def test_huge_event_costs_a_few_requests_and_slows_nothing_down_for_long(order: Order) -> None:
    """Past a huge event amid a backlog, pages grow again; the next look is as long as any."""
    server = GeneratedServer(ServerReading(order, "inclusive", "milliseconds", 100), 1)
    server.now_s = 100_000.0
    server.most_bytes = 100_000
    for number in range(5000):
        server.add(Fact(f"e{number}", 10.0 * number, 10.0 * number))
    server.facts[2500].size_bytes = 1_000_000
    cursor = Cursor(CaptureSettings(page_size=100), ServerProfile(100))
    ids = run(_look(cursor, server))
    assert sorted(ids) == sorted(fact.id for fact in server.facts)
    assert server.refused <= 20
    assert server.requests <= {"oldest": 1.4, "newest": 1.5, "none": 2.4}[order] * 50 + 80


async def _look(cursor: Cursor, server: GeneratedServer) -> list[str]:
    ids = []
    async with aclosing(cursor.look(Look.FAST, server.fetch)) as captures:
        async for capture in captures:
            ids += [reading.row.id or "" for reading in capture.readings]
            cursor.confirm(capture, 0 if capture.readings else None)
    return ids


def test_answer_that_stays_too_large_for_one_row_ends_the_look() -> None:
    """Nobody asks for less than one row: the look fails, and says why."""

    async def refuse(_: object) -> None:
        raise AnswerTooLargeError(where="GET /events", what="large", next_step="Ask for less.")

    cursor = Cursor(CaptureSettings(), ServerProfile(1000))
    looked = cursor.look(Look.FAST, refuse)  # type: ignore[arg-type]
    with pytest.raises(AnswerTooLargeError):
        run(anext(looked))
