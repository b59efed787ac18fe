"""A consumer is stopped within its time, and whoever is cancelled meanwhile hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import pytest

from streamer.kafka.stopping import stop_consumer


class Swallowing:
    """Stops as aiokafka's does: a cancellation of the caller ends the wait and is lost."""

    _coordinator = _fetcher = _client = None

    def __init__(self) -> None:
        self.stopping = asyncio.Event()

    async def stop(self) -> None:
        """Wait for a task of its own that never ends."""
        self.stopping.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_cancellation_that_the_client_swallows_is_not_lost() -> None:
    """A task that is cancelled while it stops a consumer ends, instead of going on."""
    consumer = Swallowing()
    stopping = asyncio.ensure_future(stop_consumer(cast("Any", consumer), within_s=30))
    await consumer.stopping.wait()
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping


async def test_consumer_that_does_not_stop_is_ended_in_time() -> None:
    """Its own time-out is no cancellation of whoever stops it."""
    await stop_consumer(cast("Any", Swallowing()), within_s=0.01)
