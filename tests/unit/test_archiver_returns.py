"""An archiver whose environment vanished, or comes back after its records were not read."""

from __future__ import annotations

import asyncio

import pytest

from streamer.errors import (
    EnvironmentReturnedError,
    FlatfileForbiddenError,
    FlatfileNotFoundError,
)
from tests.support.virtual_loop import run_virtually
from tests.unit.test_archiver import ENVIRONMENT, Flatfile, Stage, _during


def test_environment_that_was_not_read_back_is_only_asked_whether_it_is_there() -> None:
    """Nothing of it is read or published, and its tail stays, until its shard is restored."""
    flatfile = Flatfile(FlatfileForbiddenError)

    async def scene() -> None:
        stage = Stage(flatfile, "forbidden", is_read_back=False)
        stage.cursor.keep_tail(77)
        running = asyncio.ensure_future(stage.archiver.run())
        await asyncio.sleep(2000)
        assert not running.done()
        assert stage.written.tail == 77
        flatfile.error = None
        await asyncio.wait({running}, timeout=60)
        assert isinstance(running.exception(), EnvironmentReturnedError)

    run_virtually(scene())


@pytest.mark.parametrize("is_listed", [True, False])
def test_environment_that_vanished_is_not_called_stalled(*, is_listed: bool) -> None:
    """What answers 404 and is not listed any more is gone; what is still listed is a blind spot."""
    flatfile = Flatfile()

    async def scene() -> None:
        stage = Stage(flatfile)

        async def vanish() -> None:
            flatfile.error = FlatfileNotFoundError
            flatfile.listed = [ENVIRONMENT] if is_listed else []
            await stage.environments.refresh()

        async def look() -> None:
            assert stage.state == "polled"
            assert len(list(stage.board.stalled(-1))) == is_listed

        async def come_back() -> None:
            flatfile.error = None

        async def look_again() -> None:
            assert len(list(stage.board.stalled(-1))) == 1

        await _during(stage, 5.0, vanish, 200.0, look, come_back, 40.0, look_again)

    run_virtually(scene())
