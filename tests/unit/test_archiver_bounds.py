"""What an archiver holds while Kafka is gone, and what it counts as a poll while Flatfile is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from typing_extensions import override

from streamer.errors import FlatfileUnavailableError
from tests.support.virtual_loop import run_virtually
from tests.unit.test_archiver import (
    ENVIRONMENT,
    ONE_PAGE_BYTES,
    Busy,
    Committed,
    Flatfile,
    Stage,
    _during,
)

if TYPE_CHECKING:
    from streamer.offer import Offer


class Stuck(Committed):
    """A shard whose commits do not end, as while Kafka is gone."""

    @override
    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Answer as the shard does."""
        return asyncio.get_running_loop().create_future()


def test_polling_stops_while_commits_do_not_end() -> None:
    """However long Kafka is gone, no more is held than the budget for pages allows."""

    async def scene() -> None:
        stage = Stage(Busy(95), committed=Stuck(), buffer_bytes=ONE_PAGE_BYTES)

        async def look() -> None:
            assert 0 < stage.buffer.held_bytes <= ONE_PAGE_BYTES

        await _during(stage, 600.0, look)

    run_virtually(scene())


def test_look_that_failed_is_no_poll() -> None:
    """An environment that answers with errors grows stale, however often it is asked."""
    flatfile = Flatfile(FlatfileUnavailableError)

    async def scene() -> None:
        stage = Stage(flatfile)
        polled: list[float] = []

        async def look() -> None:
            polled.append(stage.board.environments[ENVIRONMENT.id].polled)

        await _during(stage, 1.0, look, 600.0, look)
        assert polled[1] == polled[0]

    run_virtually(scene())
    assert len(flatfile.asked_s) > 10
