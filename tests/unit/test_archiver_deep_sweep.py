"""An archiver that sweeps deeply beside its live polls, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from streamer.audit.checkpoint import decode
from streamer.capture.published import Published
from streamer.capture.seen import Remembered
from streamer.flatfile.budget import Priority
from tests.support.generated_server import Fact, GeneratedServer, ServerReading, at
from tests.support.virtual_loop import run_virtually
from tests.unit.test_archiver import ENVIRONMENT, Committed, Flatfile, Stage

if TYPE_CHECKING:
    from streamer.audit.checkpoint import Checkpoint
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.pages import Page
    from streamer.offer import Offer

DAY_S = 86_400.0
BEGIN_S = 10 * DAY_S
COMMIT_S = 0.7


class Live(Flatfile):
    """An environment in which something happens twice a second, and becomes visible days late.

    Attributes:
        deep: Set while requests of deep sweeps are answered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deep = asyncio.Event()
        self.deep.set()
        self.live_requests = 0
        self.deep_requests = 0
        self.server = GeneratedServer(ServerReading("oldest", "inclusive", "milliseconds", 10), 1)
        self.server.latency_s = 0.0
        self.server.now_s = BEGIN_S
        for number in range(240):
            moment_s = BEGIN_S + number / 2
            self.server.add(Fact(f"us_evt_{number}", moment_s, moment_s))
            late_s = BEGIN_S - 5 * DAY_S + number
            self.server.add(Fact(f"us_evt_late_{number}", late_s, BEGIN_S + 10 + number / 2))

    @override
    async def events_page(self, *args: object, **options: object) -> Page:
        """Answer as `FlatfileClient.events_page` does."""
        if options.get("priority") is Priority.DEEP_SWEEP:
            self.deep_requests += 1
            await self.deep.wait()
        else:
            self.live_requests += 1
        await asyncio.sleep(0.01)
        self.server.now_s = BEGIN_S + asyncio.get_running_loop().time() - 1000
        return await self.server.fetch(cast("PageRequest", args[0]))


class GroupCommits(Committed):
    """Commits every now and then what was offered by then, in that order, as a shard does."""

    def __init__(self) -> None:
        super().__init__()
        self.sequences: list[int] = []
        self.ids: list[str] = []
        self._offers: list[tuple[Offer, asyncio.Future[int | None]]] = []
        self._committing: asyncio.Task[None] | None = None

    @override
    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Answer as the shard does."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int | None] = loop.create_future()
        self._offers.append((offer, future))
        if self._committing is None or self._committing.done():
            self._committing = loop.create_task(self._commit())
        return future

    async def _commit(self) -> None:
        while self._offers:
            await asyncio.sleep(COMMIT_S)
            taken, self._offers = self._offers, []
            firsts = [self._append(offer) for offer, _ in taken]
            values = [
                offer.checkpoint(first, len(self.ids))
                for (offer, _), first in zip(taken, firsts, strict=True)
                if offer.checkpoint is not None
            ]
            self.checkpoints += [(0.0, decode(value, where="here")) for value in values]
            for (_, future), first in zip(taken, firsts, strict=True):
                if not future.done():
                    future.set_result(first)

    def _append(self, offer: Offer) -> int | None:
        first = len(self.ids) if offer.records else None
        for record in (json.loads(outgoing.value or b"") for outgoing in offer.records):
            self.sequences.append(record["sequence"])
            self.ids.append(record["id"])
        return first


class LateCommits(Committed):
    """Makes checkpoints at once, and commits them a moment later.

    Attributes:
        offered: Set when there were records to commit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.offered = asyncio.Event()

    @override
    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Answer as the shard does."""
        at_once = super().offer(offer)
        if not offer.records:
            return at_once
        self.offered.set()
        loop = asyncio.get_running_loop()
        late: asyncio.Future[int | None] = loop.create_future()
        loop.call_later(COMMIT_S, late.set_result, at_once.result())
        return late


def what_is_published(committed: GroupCommits, flatfile: Live) -> Published:
    """Return what the log says of the last seven days."""
    published = Published()
    published.knows_from = at(BEGIN_S) - timedelta(days=7)
    created = {fact.id: fact.created_at for fact in flatfile.server.facts}
    for id_ in committed.ids:
        published.add(ENVIRONMENT.id, Remembered(id_, created[id_]))
    published.freeze()
    return published


def test_live_polls_go_on_while_a_deep_sweep_waits_for_an_answer() -> None:
    """However long a deep sweep takes, nothing waits for it, nor does the end of the archiver."""

    async def scene() -> None:
        flatfile = Live()
        stage = Stage(flatfile, committed=(committed := GroupCommits()))
        running = asyncio.ensure_future(stage.archiver.run())
        await asyncio.sleep(5)
        before = stage.archiver.remembers_from
        assert before is not None
        flatfile.deep.clear()
        published = what_is_published(committed, flatfile)
        sweeping = asyncio.ensure_future(stage.archiver.sweep_deeply(published, before))
        requests = flatfile.live_requests
        await asyncio.sleep(60)
        assert flatfile.deep_requests == 1
        assert flatfile.live_requests >= requests + 30
        for task in (sweeping, running):
            task.cancel()
        await asyncio.wait({sweeping, running}, timeout=0.1)
        assert running.done()
        assert sweeping.done()

    run_virtually(scene())


def test_deep_sweep_and_live_captures_take_turns() -> None:
    """What both publish at once is numbered in the order of commits; no position goes back."""

    async def scene() -> None:
        committed = GroupCommits()
        flatfile = Live()
        stage = Stage(flatfile, committed=committed)
        running = asyncio.ensure_future(stage.archiver.run())
        await asyncio.sleep(5)
        for _ in range(30):
            before = stage.archiver.remembers_from
            assert before is not None
            await stage.archiver.sweep_deeply(what_is_published(committed, flatfile), before)
            await asyncio.sleep(3)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})
        assert committed.sequences == list(range(1, len(committed.ids) + 1))
        assert len(committed.ids) == len(set(committed.ids)) > 300
        assert sum("late" in id_ for id_ in committed.ids) > 100
        _never_go_back([checkpoint for _, checkpoint in committed.checkpoints])

    run_virtually(scene())


def test_deep_sweep_that_ends_amid_a_commit_is_in_the_next_checkpoint() -> None:
    """A sweep that is completed after a checkpoint was made reaches the topic within a minute."""

    async def scene() -> None:
        flatfile = Live()
        stage = Stage(flatfile, committed=(committed := LateCommits()))
        running = asyncio.ensure_future(stage.archiver.run())
        await asyncio.sleep(200)
        committed.offered.clear()
        now_s = flatfile.server.now_s
        flatfile.server.add(Fact("us_evt_last", now_s, now_s))
        await committed.offered.wait()
        nothing_before = Published()
        nothing_before.knows_from = at(now_s)
        await stage.archiver.sweep_deeply(nothing_before, at(now_s))
        swept = stage.archiver.deep_swept
        assert stage.written.deep_swept != swept
        await asyncio.sleep(60)
        assert stage.written.deep_swept == swept
        running.cancel()
        await asyncio.wait({running})

    run_virtually(scene())


def _never_go_back(checkpoints: list[Checkpoint]) -> None:
    for earlier, later in itertools.pairwise(checkpoints):
        assert later.sequence >= earlier.sequence
        for name in ("watermark", "polled", "seen_from"):
            was, now = getattr(earlier, name), getattr(later, name)
            assert was is None or (now is not None and now >= was), name
