"""A worker says that it is ready only while it knows which shards are its own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from streamer.config import Settings
from streamer.shard.assignment import Shards
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
