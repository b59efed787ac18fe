"""Deep sweeps amid everything else that happens: the histories of `test_walk_histories`, and more.

Besides the checks that those make as they go, nothing that was visible throughout a completed deep
sweep is missing of what it covers.
"""

from __future__ import annotations

import random
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from streamer.capture.deep_sweep import DeepSweep
from streamer.capture.published import Published, SeenInLog
from streamer.capture.seen import Remembered
from streamer.errors import FlatfileUnavailableError
from streamer.flatfile.models import Event
from tests.support.generated_server import Fact, at
from tests.support.happenings import EXCLUDED_TOPIC
from tests.support.histories import START_S, History, KilledError, run

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.pages import Page

ENVIRONMENT = "us_env_one"
WINDOW = timedelta(seconds=200)
LATECOMERS = 10


class DeepHistory(History):
    """A history whose reader sweeps deeply now and then.

    Attributes:
        found: Events and revisions that deep sweeps brought.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.found = 0
        self._deep_dice = random.Random(seed)  # noqa: S311
        if not self._sorted_by_arrival:
            for number in range(LATECOMERS):
                self._come_late(number)

    def _come_late(self, number: int) -> None:
        dice = self._deep_dice
        created_s = START_S - dice.random() * WINDOW.total_seconds()
        visible_s = START_S + dice.random() * (self.end_s - START_S)
        erased_s = visible_s + dice.choice((5.0, 1e9))
        fact = Fact(f"us_evt_late_{number}", created_s, visible_s, deleted_s=erased_s)
        self.server.add(fact)
        self.by_id[fact.id] = fact

    @override
    def _live_once(self, kills: float) -> None:
        super()._live_once(kills)
        before = self.cursor.position.seen_from
        if before is None or self._deep_dice.random() > 0.15:
            return
        try:
            run(self._sweep_deeply(before, kills))
        except FlatfileUnavailableError:
            pass
        except KilledError:
            self.cursor = self._born()

    async def _sweep_deeply(self, before: datetime, kills: float) -> None:
        published = self._read_back()
        start = max(published.knows_from, self.floor or published.knows_from)
        if start >= before:
            return
        sweep = DeepSweep(
            SeenInLog(published, ENVIRONMENT),
            self._profile,
            start=start,
            before=before,
            exclude_topics=(EXCLUDED_TOPIC,),
        )
        began_s: float | None = None

        async def fetch(request: PageRequest) -> Page:
            nonlocal began_s
            page = await self.server.fetch(request)
            began_s = self.server.answered_s if began_s is None else began_s
            return page

        async with aclosing(sweep.look(fetch)) as captures:
            async for capture in captures:
                self._die(kills)
                self.found += len(capture.readings)
                self.topic.append(capture.readings, self._deep_dice.randrange(3))
                self.topic.position = self.cursor.position
                self.topic.tail = self.cursor.tail(self.topic.end)
                self._die(kills)
                sweep.confirm(capture)
        if sweep.begun_at is None or began_s is None or self._sorted_by_arrival:
            return
        now_s = self.server.now_s
        covered = [
            fact
            for fact in self.server.facts
            if start <= fact.created_at < before and fact.is_visible(began_s, now_s)
        ]
        assert self._missing(covered) == [], "ids visible throughout a deep sweep, never come out"

    def _read_back(self) -> Published:
        published = Published()
        published.knows_from = at(self.server.now_s) - WINDOW
        for record in self.topic.records:
            row = record.reading.row
            assert isinstance(row, Event)
            memory = Remembered(
                row.id,
                record.reading.created_at,
                record.reading.revision,
                row.deleted_at,
                row.acknowledged_at,
            )
            published.add(ENVIRONMENT, memory)
        published.freeze()
        return published

    def _die(self, kills: float) -> None:
        if self._deep_dice.random() < kills * 5:
            raise KilledError


@pytest.mark.timeout(180)
@pytest.mark.parametrize("chunk", range(2))
def test_deep_sweeps_lose_and_repeat_nothing(chunk: int) -> None:
    """Beside live polls, sweeps, kills and whatever the server does, each event comes out once."""
    found = 0
    for seed in range(100 * chunk, 100 * chunk + 100):
        history = DeepHistory(seed)
        try:
            history.live()
        except Exception as error:
            error.add_note(f"in history {seed}: {history.server.reading}")
            raise
        found += history.found
    assert found > 150
