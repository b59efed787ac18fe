"""The client against answers that are too large: refused, or known by their beginning."""

from __future__ import annotations

import asyncio
import json
import tracemalloc

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streamer.audit.redaction import redact_event
from streamer.config import FlatfileSettings
from streamer.errors import AnswerTooLargeError
from streamer.flatfile.bodies import FREE_BYTES
from streamer.flatfile.budget import Priority
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.listing import PageRequest
from streamer.flatfile.models import BrokenEvent
from streamer.flatfile.transport import Patience
from tests.support.scripted_server import Act, ScriptedServer, answer, streamed

LIMIT_BYTES = 4 * 1024 * 1024
GIGABYTE = 1 << 30
PIECE = b"x" * (1 << 18)
SEVERAL = PageRequest(None, 1, 1000)
SINGLE = PageRequest(None, 3, 1)
HEAD = (
    b'{"data":[{"id":"us_evt_1","topic":"a:b","createdAt":"2026-11-23T20:46:04Z",'
    b'"payload":{"accessToken":"secret","file":"'
)
GOOD = json.dumps({"id": "us_evt_0", "topic": "a:b", "createdAt": "2026-11-23T20:46:04Z"}).encode()


def client_of(
    server: ScriptedServer, outcomes: list[str], limit_bytes: int = LIMIT_BYTES
) -> FlatfileClient:
    """Return a client that reads 4 MiB at most, and notes how its requests end."""
    settings = FlatfileSettings(
        api_url=server.url, token=SecretStr("pat_1"), max_body_bytes=limit_bytes
    )
    return FlatfileClient(
        settings,
        patience=Patience(attempts=3, wait_s=0.001),
        on_request=lambda _operation, outcome, _duration_s: outcomes.append(outcome),
    )


def gigabyte(head: bytes) -> Act:
    """Send a body of more than 1 GB that begins like this."""
    return streamed(head, [PIECE] * (GIGABYTE // len(PIECE)))


async def test_gigabyte_is_refused_while_it_is_read() -> None:
    """A page of 1 GB takes a bounded memory, is not asked for again, and is logged once."""
    outcomes: list[str] = []
    async with (
        ScriptedServer(lambda _: gigabyte(HEAD)) as server,
        client_of(server, outcomes) as client,
    ):
        tracemalloc.start()
        try:
            with capture_logs() as logs:
                for _ in range(3):
                    with pytest.raises(AnswerTooLargeError, match="4,194,304 bytes"):
                        await client.events_page(SEVERAL)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcomes == ["too_large"] * 3
    assert peak_bytes < 8 * LIMIT_BYTES
    assert [line["reason"] for line in logs] == ["too_large"]


async def test_large_answers_take_turns() -> None:
    """Of ten bodies beyond 4 MiB that come at once, a single one is read on at a time."""
    outcomes: list[str] = []
    large = streamed(b'{"data":[]', [b" " * len(PIECE)] * 60 + [b"}"])
    async with ScriptedServer(lambda _: large) as server:
        client = client_of(server, outcomes, limit_bytes=4 * LIMIT_BYTES)
        async with client:
            tracemalloc.start()
            try:
                await asyncio.gather(*(client.events_page(SEVERAL) for _ in range(10)))
                _, peak_bytes = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert outcomes == ["ok"] * 10
    # What is free to each, the one whose turn it is, its join, and what lies in the sockets.
    assert peak_bytes < 10 * FREE_BYTES + 5 * 15 * 1024 * 1024, peak_bytes


def paused(sent: asyncio.Event, go_on: asyncio.Event) -> Act:
    """Send 15 MiB, of which sockets hold the smaller part, tell so, and end when told to."""
    head, pieces, tail = b'{"data":[', [b" " * len(PIECE)] * 60, b"]}"
    length = len(head) + len(pieces) * len(PIECE) + len(tail)

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 X\r\nContent-Length: {length}\r\n\r\n".encode() + head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        sent.set()
        await go_on.wait()
        writer.write(tail)
        await writer.drain()

    return act


async def test_large_live_page_that_waits_for_another_body_is_neither_late_nor_last() -> None:
    """It waits longer than it may take, without a time-out, and goes before what came earlier."""
    outcomes: list[str] = []
    sent, go_on, live_may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    acts = {
        "1000": paused(sent, go_on),
        "999": streamed(b'{"data":[]', [b" " * len(PIECE)] * 60 + [b"}"]),
        "998": paused(asyncio.Event(), live_may_end),
    }
    async with ScriptedServer(lambda asked: acts[asked.query["pageSize"]]) as server:
        client = client_of(server, outcomes, limit_bytes=4 * LIMIT_BYTES)
        async with client, asyncio.TaskGroup() as tasks:
            first = tasks.create_task(client.events_page(PageRequest(None, 1, 1000)))
            await sent.wait()
            client._transport._patience = Patience(attempts=1, body_s=3.0, total_s=3.0)
            page = client.events_page(PageRequest(None, 1, 999), priority=Priority.DEEP_SWEEP)
            deep = tasks.create_task(page)
            live = tasks.create_task(client.events_page(PageRequest(None, 1, 998)))
            done, _ = await asyncio.wait({first, deep, live}, timeout=3.3)
            assert not done
            go_on.set()
            await first
            done, _ = await asyncio.wait({deep}, timeout=0.3)
            assert not done
            live_may_end.set()
    assert outcomes == ["ok"] * 3


@pytest.mark.parametrize("act", [gigabyte(HEAD), answer(HEAD + PIECE * 5, announced=GIGABYTE)])
async def test_single_event_of_a_gigabyte_is_known_by_its_beginning(act: Act) -> None:
    """An event that no smaller page can bring comes broken, with its id, without half secrets."""
    outcomes: list[str] = []
    async with ScriptedServer(lambda _: act) as server, client_of(server, outcomes) as client:
        page = await client.events_page(SINGLE)
    (row,) = page.rows
    assert isinstance(row, BrokenEvent)
    assert (row.id, row.topic, row.reason) == ("us_evt_1", "a:b", "cut_off")
    assert page.times[0] is not None
    assert row.raw.endswith(b'"file":')
    assert b"secret" not in redact_event(row.raw).text
    assert outcomes == ["ok"]


async def test_huge_events_without_a_readable_id_are_told_apart() -> None:
    """Two events that begin alike, the id behind what is huge, are two."""
    head = b'{"data":[{"topic":"a:b","payload":{"file":"'
    heads = iter([head + b"one", head + b"two", head + b"one"])
    async with (
        ScriptedServer(lambda _: gigabyte(next(heads))) as server,
        client_of(server, []) as client,
    ):
        one, two, again = [(await client.events_page(SINGLE)).rows[0] for _ in range(3)]
    assert one == again != two
    assert isinstance(one, BrokenEvent)
    assert len(one.raw) < 200


async def test_huge_event_without_a_readable_id_is_the_same_however_its_bytes_come() -> None:
    """What is read beyond the limit differs from one answer to the next, and tells nothing."""
    head, limit_bytes = b'{"data":[{"topic":"a:b","payload":{"file":"', 64 * 1024
    acts = iter(streamed(head, [b"x" * size] * (1_000_000 // size)) for size in (1_000, 250_000))
    async with (
        ScriptedServer(lambda _: next(acts)) as server,
        client_of(server, [], limit_bytes) as client,
    ):
        one, again = [(await client.events_page(SINGLE)).rows[0] for _ in range(2)]
    assert one == again


@pytest.mark.parametrize(
    "head",
    [
        b'{"data":[' + GOOD + b',{"id":"us_evt_1","payload":"',
        b'{"pagination":"',
        b'{"data":["',
        b'{"data":[{"id":"us_evt_1"]',
        b"<html>",
        b"[[[[",
    ],
    ids=["several rows", "no rows", "no object", "mismatched", "a web page", "only brackets"],
)
async def test_what_is_not_a_single_event_stays_too_large(head: bytes) -> None:
    """A server that sends a gigabyte of something else than one event is refused for good."""
    outcomes: list[str] = []
    async with (
        ScriptedServer(lambda _: gigabyte(head)) as server,
        client_of(server, outcomes) as client,
    ):
        with pytest.raises(AnswerTooLargeError):
            await client.events_page(SINGLE)
    assert outcomes == ["too_large"]
