"""A consumer is stopped within its time, and whoever is cancelled meanwhile hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import pytest
from typing_extensions import override

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


class Fetching(Swallowing):
    """Stops as aiokafka's does where the broker is away: it waits for a fetch that it cancelled."""

    @override
    async def stop(self) -> None:
        """Cancel it and wait for it, which raises in whoever asked to stop."""
        fetch = asyncio.ensure_future(asyncio.Event().wait())
        await asyncio.sleep(0)
        fetch.cancel()
        await fetch


async def test_cancellation_of_the_clients_own_task_is_not_that_of_the_caller() -> None:
    """It ends nothing but the wait: whoever stops a consumer goes on."""
    await stop_consumer(cast("Any", Fetching()), within_s=30)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


class Part:
    """A part of a consumer: a fetch of it does not end, and whether it was closed is known."""

    def __init__(self) -> None:
        self.is_closed = False
        self.goes_on = asyncio.Event()
        self._pending_tasks = {asyncio.ensure_future(self._fetch())}

    async def close(self) -> None:
        """Take note."""
        self.is_closed = True

    async def _fetch(self) -> None:
        while not self.goes_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.goes_on.wait()


async def test_parts_are_closed_although_whoever_stops_is_cancelled_twice() -> None:
    """The second cancellation comes while what the first one left is being ended."""
    consumer: Any = Swallowing()
    consumer._fetcher, consumer._client = Part(), Part()
    stopping = asyncio.ensure_future(stop_consumer(consumer, within_s=30))
    await consumer.stopping.wait()
    stopping.cancel()
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    parts = (consumer._fetcher, consumer._client)
    for part in parts:
        part.goes_on.set()
    assert [part.is_closed for part in parts] == [True, True]
