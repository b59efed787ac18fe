"""When a worker is ready, and how long a shard waits after what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamer.config import Settings
from streamer.errors import CommitRefusedError
from streamer.shard import assignment
from streamer.shard.assignment import Shards
from streamer.shard.caution import Caution
from streamer.shard.commits import GroupCommits
from streamer.shard.lifecycle import Shard
from streamer.telemetry.board import Board
from streamer.telemetry.metrics import Metrics
from streamer.web.server import WebServer

NOBODY = ["not yet a member of the consumer group"]


async def test_worker_is_not_ready_from_revocation_until_it_is_assigned_shards_anew() -> None:
    """A rebalance that lasts shows, also where there was no shard to be taken away."""
    board = Board()
    web = WebServer(Settings().web, board, Metrics(board))
    async with asyncio.TaskGroup() as tasks:
        shards = Shards(cast("Any", SimpleNamespace(board=board)), tasks)
        assert web.not_ready() == NOBODY
        await shards.take(frozenset())
        assert web.not_ready() == []
        await shards.suspend(frozenset())
        assert web.not_ready() == NOBODY
        await shards.take(frozenset())
        assert web.not_ready() == []
        await shards.give_back(frozenset())
        assert web.not_ready() == NOBODY


async def test_shard_that_ignores_its_cancellation_does_not_hold_up_the_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is left behind after a time, and the worker will not say that it stopped in order."""
    monkeypatch.setattr(assignment, "STOP_WITHIN_S", 0.0)
    monkeypatch.setattr(assignment, "CANCELLED_WITHIN_S", 0.0)
    around, ended = SimpleNamespace(board=Board()), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        shards = Shards(cast("Any", around), tasks)
        shard = Shard(0, cast("Any", None), cast("Any", around), is_first=False)
        shards._running[0] = shard, tasks.create_task(_deaf(ended))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await shards.suspend(frozenset({0}))
        assert not shards.orderly
        ended.set()


async def test_shard_that_was_told_to_stop_is_not_held() -> None:
    """A worker that stops as a rebalance begins waits for no shard that waits to go on."""
    shard = Shard(0, cast("Any", None), cast("Any", SimpleNamespace(board=Board())), is_first=False)
    nobody = cast("Any", None)
    shard._commits = GroupCommits(
        *(nobody, nobody),
        shard=0,
        end=0,
        first=[],
        limits=nobody,
        caution=Caution(0),
        incidents=nobody,
    )
    shard._state.enter("restoring")
    shard._state.enter("running")
    shard.stop()
    assert not await shard.hold()
    assert shard._free.is_set()


async def _deaf(ended: asyncio.Event) -> None:
    """Go on when cancelled, as where a client swallows it."""
    while not ended.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await ended.wait()


@pytest.mark.parametrize("is_certain", [True, False])
async def test_refusal_that_may_pass_is_given_more_time_with_each_attempt(
    is_certain: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Only what is surely about the batch is narrowed down at once."""
    around = SimpleNamespace(
        board=Board(), limits=SimpleNamespace(max_record_bytes=1, refresh=_nothing_new)
    )
    shard = Shard(0, cast("Any", None), cast("Any", around), is_first=False)
    shard.stop()
    refused = CommitRefusedError(topic="audit", reason="UnknownError", is_certain=is_certain)
    refused.is_narrowed = True
    waits_grow = await shard._failed(refused)
    assert waits_grow is not is_certain


async def _nothing_new() -> None:
    """The limits of the topics are what they were."""
