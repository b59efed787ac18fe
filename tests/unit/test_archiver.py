"""An archiver whose environment is gone, forbidden or idle, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from typing_extensions import override

from streamer.archiver import Archiver, Resumed
from streamer.audit.chain import genesis
from streamer.audit.checkpoint import Checkpoint, decode
from streamer.audit.privacy import Privacy
from streamer.capture.buffer import Buffer
from streamer.capture.cursor import Cursor
from streamer.capture.environments import Environments
from streamer.capture.presence import RESTING_INTERVAL_S, RESTS_AFTER_S
from streamer.capture.scout import Scout
from streamer.config import Settings
from streamer.errors import (
    FlatfileError,
    FlatfileForbiddenError,
    FlatfileNotFoundError,
    FlatfileUnavailableError,
)
from streamer.flatfile.models import Environment
from streamer.flatfile.pages import Page
from streamer.flatfile.server_profile import ServerProfile
from streamer.inventory.told import Told
from streamer.offer import Terms
from streamer.publisher import CHECKPOINT_EVERY_S, Parts
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.generated_server import Fact, GeneratedServer, ServerReading
from tests.support.virtual_loop import run_virtually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.audit.names import Names
    from streamer.flatfile.listing import PageRequest
    from streamer.offer import Offer
    from streamer.telemetry.board import EnvironmentState

ENVIRONMENT = Environment(id="us_env_one", name="one", account_id="us_acc_one")
SERVER = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Flatfile:
    """One environment without events, which answers with an error while it has one.

    Attributes:
        asked_s: When it was asked for events, since the beginning.
        listed: What the list of environments shows.
    """

    error: type[FlatfileError] | None = None
    asked_s: list[float] = field(default_factory=list)
    listed: list[Environment] = field(default_factory=lambda: [ENVIRONMENT])

    async def events_page(self, *_: object, **__: object) -> Page:
        """Answer as `FlatfileClient.events_page` does."""
        now_s = asyncio.get_running_loop().time() - 1000
        self.asked_s.append(now_s)
        if self.error is not None:
            raise self.error(where="events", what="refused", next_step="Wait.")
        return Page([], [], SERVER + timedelta(seconds=now_s), 12)

    async def environments(self) -> Sequence[Environment]:
        """Answer as `FlatfileClient.environments` does."""
        return self.listed

    def asked_between(self, begin_s: float, end_s: float) -> int:
        """How many requests there were."""
        return sum(begin_s <= asked_s < end_s for asked_s in self.asked_s)


class Committed:
    """Commits at once, and keeps the checkpoints."""

    def __init__(self) -> None:
        self.checkpoints: list[tuple[float, Checkpoint]] = []

    def terms(self, _: bytes) -> Terms:
        """Answer as the shard does."""
        return Terms(max_record_bytes=1_000_000)

    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Answer as the shard does."""
        loop = asyncio.get_running_loop()
        first = 0 if offer.records else None
        assert offer.checkpoint is not None
        value = offer.checkpoint(first, len(offer.records))
        self.checkpoints.append((loop.time() - 1000, decode(value, where="here")))
        future: asyncio.Future[int | None] = loop.create_future()
        future.set_result(first)
        return future


class Uncommitted(Committed):
    """A shard whose commits fail."""

    @override
    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Answer as the shard does."""
        future = super().offer(offer)
        if not offer.records:
            return future
        failed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, failed.cancel)
        return failed


ONE_PAGE_BYTES = 60_000
"""Room for one page of a busy environment, and not for two."""


class Busy(Flatfile):
    """One environment with a backlog, in pages of 10."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self._server = GeneratedServer(ServerReading("oldest", "inclusive", "milliseconds", 10), 1)
        self._server.now_s = 100_000.0
        for number in range(events):
            self._server.add(Fact(f"us_evt_{number}", 1000.0 * number, 1000.0 * number))

    @override
    async def events_page(self, *args: object, **_: object) -> Page:
        """Answer as `FlatfileClient.events_page` does."""
        return await self._server.fetch(cast("PageRequest", args[0]))


class Stage:
    """An archiver at work among parts of its own."""

    def __init__(
        self,
        flatfile: Flatfile,
        state: EnvironmentState = "polled",
        *,
        committed: Committed | None = None,
        buffer_bytes: int = 64 * 1024 * 1024,
        is_read_back: bool = True,
    ) -> None:
        settings = Settings()
        self.board = Board()
        self.committed = committed or Committed()
        self.buffer = Buffer(buffer_bytes)
        self.environments = Environments(flatfile.environments)
        profile = ServerProfile(settings.capture.page_size)

        async def no_page(request: PageRequest) -> Page:
            raise AssertionError(request)

        self.scout = Scout(no_page, interval_s=1, page_size=1, unknown=self.environments.glimpse)
        parts = Parts(
            settings=settings,
            client=cast("Any", flatfile),
            directory=cast("Any", _Nobody()),
            told=Told(asyncio.get_running_loop().time),
            environments=self.environments,
            scout=self.scout,
            buffer=self.buffer,
            profile=profile,
            board=self.board,
            incidents=Incidents(Metrics(self.board)),
            privacy=Privacy("clear", b""),
            account_id="us_acc_one",
            writer="here/1",
        )
        self.cursor = Cursor(settings.capture, profile)
        resumed = Resumed(
            self.cursor,
            genesis(ENVIRONMENT.id),
            known=True,
            state=state,
            is_read_back=is_read_back,
        )
        self.archiver = Archiver(parts, ENVIRONMENT, 0, resumed, self.committed)

    @property
    def state(self) -> EnvironmentState:
        """As the board shows it."""
        return self.board.environments[ENVIRONMENT.id].state

    @property
    def written(self) -> Checkpoint:
        """The last checkpoint."""
        return self.committed.checkpoints[-1][1]


class _Nobody:
    async def names_for(self, *_: object, **__: object) -> Names:
        return {}


async def _during(stage: Stage, *steps: Any) -> None:  # noqa: ANN401 - seconds, or what to do
    """Let the archiver run; a number lets so many seconds pass."""
    await stage.environments.refresh()
    running = asyncio.ensure_future(stage.archiver.run())
    try:
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                await step()
            assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.wait({running})


def test_environment_that_is_gone_rests_and_is_asked_every_ten_minutes() -> None:
    """After five minutes of 404 it rests: on the board, in the checkpoint, and in its requests."""
    flatfile = Flatfile(FlatfileNotFoundError)

    async def scene() -> None:
        stage = Stage(flatfile)
        seen: list[tuple[EnvironmentState, EnvironmentState]] = []

        async def look() -> None:
            seen.append((stage.state, stage.written.state))

        await _during(stage, RESTS_AFTER_S - 1, look, 40.0, look, 2 * RESTING_INTERVAL_S)
        assert seen == [("polled", "polled"), ("resting", "resting")]

    run_virtually(scene())
    assert flatfile.asked_between(0, RESTS_AFTER_S) >= 10
    # Jitter spreads what the failures would have waited, not the ten minutes.
    assert flatfile.asked_between(RESTS_AFTER_S + 40, RESTS_AFTER_S + 40 + 1200) == 2


def test_resting_environment_that_is_listed_again_is_asked_at_once() -> None:
    """What comes back is read at once, and its checkpoint says so."""
    flatfile = Flatfile(FlatfileNotFoundError)

    async def scene() -> None:
        stage = Stage(flatfile, "resting")

        async def leave() -> None:
            flatfile.listed = []
            await stage.environments.refresh()

        async def come_back() -> None:
            assert len(flatfile.asked_s) == 1
            flatfile.listed, flatfile.error = [ENVIRONMENT], None
            await stage.environments.refresh()

        await _during(stage, 5.0, leave, 60.0, come_back, 0.5)
        assert stage.state == "polled"
        assert stage.written.state == "polled"

    run_virtually(scene())
    assert flatfile.asked_between(65, 66) >= 1


def test_resting_environment_rests_on_after_a_restart() -> None:
    """A worker that takes over a resting environment asks once, and does not begin to count."""
    flatfile = Flatfile(FlatfileNotFoundError)

    async def scene() -> None:
        stage = Stage(flatfile, "resting")
        await _during(stage, RESTING_INTERVAL_S - 1)
        assert stage.state == "resting"

    run_virtually(scene())
    assert len(flatfile.asked_s) == 1


def test_forbidden_environment_is_degraded_and_asked_again() -> None:
    """403 shows on board and in the checkpoint; access that is given back is found by itself."""
    flatfile = Flatfile(FlatfileForbiddenError)

    async def scene() -> None:
        stage = Stage(flatfile)

        async def allow() -> None:
            assert stage.state == stage.written.state == "forbidden"
            assert list(stage.board.stalled(0)) == []
            flatfile.error = None

        await _during(stage, 600.0, allow, 40.0)
        assert stage.state == stage.written.state == "polled"

    run_virtually(scene())


def test_environment_that_fails_for_hours_holds_no_room_for_pages() -> None:
    """However often a look fails, what it had reserved is given back: others need it."""
    flatfile = Flatfile(FlatfileForbiddenError)

    async def scene() -> None:
        stage = Stage(flatfile)

        async def look() -> None:
            assert stage.buffer.held_bytes == 0

        await _during(stage, 7200.0, look)

    run_virtually(scene())
    assert len(flatfile.asked_s) > 100


@pytest.mark.parametrize("events", [5, 95])
def test_pages_of_a_commit_that_failed_are_held_no_longer(events: int) -> None:
    """An archiver that ends because its shard starts over gives back all that it held."""

    async def scene() -> None:
        stage = Stage(Busy(events), committed=Uncommitted())
        running = asyncio.ensure_future(stage.archiver.run())
        await asyncio.wait({running}, timeout=60)
        assert running.cancelled()
        assert stage.buffer.held_bytes == 0

    run_virtually(scene())


def test_page_that_waits_for_its_commit_does_not_keep_the_next_one_waiting() -> None:
    """Where there is room for one page only, a backlog is read page by page, to its end."""

    async def scene() -> None:
        stage = Stage(Busy(95), buffer_bytes=ONE_PAGE_BYTES)

        async def look() -> None:
            assert stage.written.sequence == 95

        await _during(stage, 60.0, look)
        assert stage.buffer.held_bytes == 0

    run_virtually(scene())


def test_news_do_not_shorten_the_wait_after_a_failure() -> None:
    """While Flatfile fails, being woken again and again causes no further request."""
    flatfile = Flatfile(FlatfileUnavailableError)

    async def scene() -> None:
        stage = Stage(flatfile)
        steps: list[Any] = []

        async def wake() -> None:
            stage.archiver.wake()

        for _ in range(100):
            steps += [0.6, wake]
        await _during(stage, *steps)

    run_virtually(scene())
    assert len(flatfile.asked_s) <= 8


@pytest.mark.parametrize("error", [None, FlatfileUnavailableError])
def test_checkpoint_is_written_every_quarter_of_an_hour(
    error: type[FlatfileError] | None,
) -> None:
    """An idle environment, and one that cannot be read, have a checkpoint of at most 16 minutes."""
    flatfile = Flatfile()

    async def scene() -> None:
        stage = Stage(flatfile)

        async def change() -> None:
            flatfile.error = error

        await _during(stage, 10.0, change, 4 * CHECKPOINT_EVERY_S)
        written = [at_s for at_s, _ in stage.committed.checkpoints]
        ends = [*written[1:], 10 + 4 * CHECKPOINT_EVERY_S]
        assert max(b - a for a, b in zip(written, ends, strict=True)) <= 960
        if error is None:
            polled = stage.written.polled
            assert polled is not None
            assert polled >= SERVER + timedelta(seconds=written[-1] - 30)

    run_virtually(scene())
