"""Looks through the days before what a cursor remembers, beside that cursor."""

from __future__ import annotations

import sys
import tracemalloc
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from streamer.capture.cursor import Cursor, Look
from streamer.capture.deep_sweep import DeepSweep
from streamer.capture.published import CHUNK_DIGESTS, Published, SeenInLog
from streamer.capture.seen import Remembered
from streamer.config import CaptureSettings
from streamer.flatfile.models import BrokenEvent
from streamer.flatfile.pages import Page
from streamer.flatfile.server_profile import ServerProfile
from tests.support.generated_server import Fact, GeneratedServer, Order, ServerReading, at

if TYPE_CHECKING:
    from streamer.capture.position import Reading
    from streamer.flatfile.listing import PageRequest

DAY_S = 86_400.0
NOW_S = 10 * DAY_S
WINDOW = timedelta(days=7)
ENVIRONMENT = "us_env_one"
ORDERS: tuple[Order, ...] = ("oldest", "newest", "none")


class Worker:
    """A cursor and deep sweeps that publish to one log."""

    def __init__(self, order: Order = "oldest") -> None:
        self.server = GeneratedServer(ServerReading(order, "inclusive", "milliseconds", 10), 1)
        self.server.now_s = NOW_S
        self.profile = ServerProfile(10)
        self.settings = CaptureSettings(exclude_topics=("cron:*",))
        self.cursor = Cursor(self.settings, self.profile)
        self.log: list[Reading] = []

    @property
    def published(self) -> list[tuple[str | None, int]]:
        """What came out, with its revision."""
        return [(reading.row.id, reading.revision) for reading in self.log]

    async def look(self, kind: Look = Look.FAST) -> None:
        """Let the cursor look once."""
        async with aclosing(self.cursor.look(kind, self.server.fetch)) as captures:
            async for capture in captures:
                self.log += capture.readings
                self.cursor.confirm(capture, 0 if capture.readings else None)

    def read_back(self) -> Published:
        """Return what the log says."""
        published = Published()
        published.knows_from = at(self.server.now_s) - WINDOW
        for reading in self.log:
            deleted_at = getattr(reading.row, "deleted_at", None)
            id_ = reading.row.id or ""
            published.add(
                ENVIRONMENT, Remembered(id_, reading.created_at, reading.revision, deleted_at)
            )
        published.freeze()
        return published

    async def sweep_deeply(self, published: Published | None = None) -> DeepSweep:
        """Look through all of the window that the cursor does not remember."""
        before = self.cursor.position.seen_from
        assert before is not None
        published = published or self.read_back()
        sweep = DeepSweep(
            SeenInLog(published, ENVIRONMENT),
            self.profile,
            start=published.knows_from,
            before=before,
            exclude_topics=self.settings.exclude_topics,
        )
        async with aclosing(sweep.look(self.server.fetch)) as captures:
            async for capture in captures:
                self.log += capture.readings
                sweep.confirm(capture)
        return sweep


@pytest.fixture(params=ORDERS)
async def worker(request: pytest.FixtureRequest) -> Worker:
    """Has published a hundred events of the last nine days, and swept since."""
    worker = Worker(request.param)
    for number in range(100):
        created_s = NOW_S - 9 * DAY_S + number * 0.09 * DAY_S
        worker.server.add(Fact(f"e{number}", created_s, created_s))
    await worker.look()
    worker.server.now_s += 4000
    await worker.look(Look.SWEEP)
    assert len(worker.log) == 100
    return worker


async def test_latecomer_of_days_ago_comes_out_once(worker: Worker) -> None:
    """What became visible days after it happened is found by a deep sweep, and by one only."""
    created_s = NOW_S - 5 * DAY_S
    worker.server.add(Fact("late", created_s, worker.server.now_s))
    await worker.look(Look.SWEEP)
    assert ("late", 1) not in worker.published
    sweep = await worker.sweep_deeply()
    assert worker.published[100:] == [("late", 1)]
    assert sweep.begun_at is not None
    await worker.sweep_deeply()
    await worker.look(Look.SWEEP)
    assert len(worker.log) == 101


async def test_erasure_of_what_is_days_old_is_one_revision(worker: Worker) -> None:
    """An event that is erased five days later gets revision 2, once."""
    worker.server.facts[50].deleted_s = worker.server.now_s
    await worker.look(Look.SWEEP)
    for _ in range(2):
        await worker.sweep_deeply()
    assert worker.published[100:] == [("e50", 2)]


async def test_revisions_count_on_from_what_the_log_says(worker: Worker) -> None:
    """An event that is erased anew, another time, gets revision 3 from whoever reads the log."""
    fact = worker.server.facts[50]
    fact.deleted_s = worker.server.now_s
    await worker.sweep_deeply()
    fact.deleted = msgspec.structs.replace(fact.deleted, deleted_at="another time")
    await worker.sweep_deeply()
    assert worker.published[100:] == [("e50", 2), ("e50", 3)]


async def test_what_is_older_than_the_window_or_excluded_stays_out(worker: Worker) -> None:
    """Neither what no log is read for, nor what is excluded, comes out late."""
    worker.server.add(Fact("older", NOW_S - 8 * DAY_S, worker.server.now_s))
    tick_s = NOW_S - DAY_S
    worker.server.add(Fact("tick", tick_s, worker.server.now_s, topic="cron:hourly"))
    await worker.sweep_deeply()
    assert len(worker.log) == 100


async def test_what_the_cursor_still_takes_is_left_to_it(worker: Worker) -> None:
    """A deep sweep beside live events hands out none of them, before or after the cursor does."""
    now_s = worker.server.now_s
    worker.server.add(Fact("live", now_s, now_s))
    worker.server.now_s += 5
    published = worker.read_back()
    await worker.sweep_deeply(published)
    assert len(worker.log) == 100
    await worker.look()
    await worker.sweep_deeply(published)
    assert worker.published[100:] == [("live", 1)]


async def test_what_has_no_id_or_no_time_is_left_to_other_looks(worker: Worker) -> None:
    """Elements that cannot be placed, or not be known again for certain, are not handed out."""
    stamp = at(NOW_S - 5 * DAY_S)
    rows = [
        BrokenEvent(raw=b"{", reason="not_json"),
        BrokenEvent(raw=b"{}", reason="no_id", created_at=stamp.isoformat()),
        BrokenEvent(raw=b"[]", reason="no_topic", id="no_time"),
    ]
    page = Page([*rows], [None, stamp, None], at(NOW_S), 10)
    published = worker.read_back()
    sweep = DeepSweep(
        SeenInLog(published, ENVIRONMENT), worker.profile, start=at(0), before=at(NOW_S)
    )

    async def fetch(request: PageRequest) -> Page:
        return page if request.number == 1 else Page([], [], at(NOW_S), 10)

    async with aclosing(sweep.look(fetch)) as captures:
        assert [capture async for capture in captures] == []
    assert sweep.begun_at == at(NOW_S)


async def test_same_id_in_another_environment_is_another_event(worker: Worker) -> None:
    """What another environment of the shard has published does not keep this one's event back."""
    created_s = NOW_S - 5 * DAY_S
    worker.server.add(Fact("shared", created_s, worker.server.now_s))
    published = worker.read_back()
    published.add("us_env_other", Remembered("shared", at(created_s)))
    published.freeze()
    await worker.sweep_deeply(published)
    assert worker.published[100:] == [("shared", 1)]


def test_record_without_a_time_is_known_at_any_time() -> None:
    """A `createdAt` that a page can place and a record cannot does not make an event new."""
    published = Published()
    published.add(ENVIRONMENT, Remembered("timeless", None))
    published.add(ENVIRONMENT, Remembered("timed", at(0)))
    published.freeze()
    for moment in (at(-1e6), at(0), at(1e6)):
        assert published.has(ENVIRONMENT, hash("timeless"), moment)
        assert published.has(ENVIRONMENT, hash("timed"), moment) is (moment == at(0))


def test_further_revisions_read_back_take_three_digests_each() -> None:
    """That all of 50,000 events were erased is known in less than 30 bytes each."""
    published = Published()
    tracemalloc.start()
    for number in range(50_000):
        published.add(ENVIRONMENT, Remembered(f"e{number}", at(number), 2, "erased"))
    published.freeze()
    size_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size_bytes < 50_000 * 30
    assert published.revision(ENVIRONMENT, hash("e49999")) == 2
    assert published.revision(ENVIRONMENT, hash("never")) == 1


def test_records_read_back_take_8_bytes_each() -> None:
    """200,000 records of a thousand environments are known, in less than 2 MB."""
    published = Published()
    for number in range(200_000):
        published.add(f"us_env_{number % 1000}", Remembered(f"e{number}", at(number)))
    published.freeze()
    size_bytes = sum(sys.getsizeof(chunk.digests) for chunk in published._chunks)
    assert size_bytes < 2_000_000
    assert len(published) == 200_000
    for number in (0, CHUNK_DIGESTS - 1, CHUNK_DIGESTS, 199_999):
        environment_id = f"us_env_{number % 1000}"
        assert published.has(environment_id, hash(f"e{number}"), at(number))
        assert not published.has(environment_id, hash(f"e{number}"), at(number + 100_000))
        assert not published.has("us_env_x", hash(f"e{number}"), at(number))
