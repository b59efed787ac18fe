"""The account-wide poll that wakes the readers of environments with news."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from streamer.capture.scout import MOST_PAGES, REMEMBERED, RETRY_AT_MOST_S, Scout
from streamer.errors import FlatfileUnavailableError
from tests.support.pages import parse_page
from tests.support.virtual_loop import run_virtually

if TYPE_CHECKING:
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.pages import Page

SERVER = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIZE = 10


def event(number: int, environment_id: Any = "us_env_a") -> dict[str, Any]:  # noqa: ANN401 - hostile
    """Return an event of an environment, or of none."""
    return {
        "id": f"us_evt_{number}",
        "topic": "workbook:updated",
        "domain": "workbook",
        "createdAt": "2026-03-01T12:00:00.000Z",
        "context": {} if environment_id is None else {"environmentId": environment_id},
    }


@dataclass
class Listing:
    """The account-wide listing: pages of `cap` rows, whatever is asked for."""

    rows: list[Any] = field(default_factory=list)
    cap: int = SIZE
    fails: bool = False
    server_at: datetime | None = SERVER
    requests: list[PageRequest] = field(default_factory=list)
    asked_s: list[float] = field(default_factory=list)

    async def fetch(self, request: PageRequest) -> Page:
        """Answer."""
        self.requests.append(request)
        self.asked_s.append(asyncio.get_running_loop().time())
        if self.fails:
            raise FlatfileUnavailableError(where="events", what="gone", next_step="Wait.")
        begin = (request.number - 1) * self.cap
        rows = self.rows[begin : begin + self.cap]
        return parse_page(json.dumps({"data": rows}).encode(), self.server_at)


class Stage:
    """A scout, and everything that it said."""

    def __init__(self, listing: Listing) -> None:
        self.woken: list[str] = []
        self.unknown: list[str] = []
        self.scout = Scout(listing.fetch, interval_s=1, page_size=SIZE, unknown=self._unknown)

    async def _unknown(self, environment_id: str) -> None:
        self.unknown.append(environment_id)

    def listen(self, environment_id: str) -> Any:  # noqa: ANN401 - a function
        """Listen for an environment, and return the listener."""

        def wake() -> None:
            self.woken.append(environment_id)

        self.scout.listen(environment_id, wake)
        return wake


async def test_environment_with_news_is_woken_once() -> None:
    """An event wakes the reader of its environment, once however often it is listed."""
    listing = Listing([event(1), event(2), event(3, "us_env_b")])
    stage = Stage(listing)
    stage.listen("us_env_a")
    stage.listen("us_env_b")
    await stage.scout.poll()
    assert sorted(stage.woken) == ["us_env_a", "us_env_b"]
    stage.woken.clear()
    await stage.scout.poll()
    assert stage.woken == []
    listing.rows.append(event(4))
    await stage.scout.poll()
    assert stage.woken == ["us_env_a"]


async def test_environment_that_nobody_reads_is_reported() -> None:
    """An id that nobody listens for is passed on, also after somebody stopped listening."""
    listing = Listing([event(1)])
    stage = Stage(listing)
    await stage.scout.poll()
    assert stage.unknown == ["us_env_a"]
    wake = stage.listen("us_env_a")
    stage.scout.unlisten("us_env_a", wake)
    listing.rows.append(event(2))
    await stage.scout.poll()
    assert stage.unknown == ["us_env_a", "us_env_a"]
    assert stage.woken == []


async def test_late_goodbye_of_the_last_reader_does_not_silence_the_next() -> None:
    """Whoever stopped listening after another began takes nothing from that one."""
    stage = Stage(Listing([event(1)]))
    first = stage.listen("us_env_a")
    stage.listen("us_env_a")
    stage.scout.unlisten("us_env_a", first)
    await stage.scout.poll()
    assert stage.woken == ["us_env_a"]


@pytest.mark.parametrize(
    "rows",
    [
        [event(1, None)],
        [event(1, 7)],
        [event(1, ["us_env_a"])],
        [{**event(1), "context": "none"}],
        [None, 7, [], {}, "x"],
        [{**event(1), "context": None}],
    ],
)
async def test_event_that_names_no_environment_holds_up_nobody(rows: list[Any]) -> None:
    """What cannot be understood is passed over, and the row beside it still wakes its reader."""
    stage = Stage(Listing([*rows, event(9, "us_env_b")]))
    stage.listen("us_env_a")
    stage.listen("us_env_b")
    await stage.scout.poll()
    assert stage.woken == ["us_env_b"]
    assert stage.unknown == []


async def test_each_poll_begins_a_little_before_the_servers_clock() -> None:
    """The first poll is one page from the beginning; later ones look back a few seconds."""
    listing = Listing([event(number) for number in range(3 * SIZE)])
    stage = Stage(listing)
    stage.listen("us_env_a")
    await stage.scout.poll()
    assert [(one.since, one.number) for one in listing.requests] == [(None, 1)]
    await stage.scout.poll()
    since = listing.requests[-1].since
    assert since is not None
    assert since.microsecond == 0
    assert timedelta(seconds=3) <= SERVER - since <= timedelta(seconds=5)


@pytest.mark.parametrize("cap", [SIZE, 4])
async def test_poll_reads_a_few_full_pages_and_no_more(cap: int) -> None:
    """Full pages are followed up to a limit, also where the server gives fewer than asked for."""
    listing = Listing([event(number) for number in range(100)], cap=cap)
    stage = Stage(listing)
    stage.listen("us_env_a")
    await stage.scout.poll()
    listing.requests.clear()
    await stage.scout.poll()
    assert [one.number for one in listing.requests] == list(range(1, MOST_PAGES + 1))
    listing.rows = listing.rows[: cap + 1]
    listing.requests.clear()
    await stage.scout.poll()
    assert [one.number for one in listing.requests] == [1, 2]


async def test_memory_of_events_is_bounded() -> None:
    """The scout remembers a fixed number of events, the last ones."""
    listing = Listing(cap=5_000)
    stage = Stage(listing)
    stage.listen("us_env_a")
    for begin in range(0, REMEMBERED + 10_000, 5_000):
        listing.rows = [event(number) for number in range(begin, begin + 5_000)]
        await stage.scout.poll()
    stage.woken.clear()
    await stage.scout.poll()
    assert stage.woken == []
    assert len(stage.scout._seen) == len(stage.scout._order) == REMEMBERED


def test_failing_polls_become_rarer_and_mend_by_themselves() -> None:
    """While the listing cannot be read it is asked ever more rarely, within a bound."""
    listing = Listing(fails=True)
    failing_s: list[float] = []

    async def scene() -> None:
        running = asyncio.ensure_future(Stage(listing).scout.run())
        await asyncio.sleep(300)
        listing.fails = False
        failing_s.extend(listing.asked_s)
        listing.asked_s.clear()
        await asyncio.sleep(60)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})

    run_virtually(scene())
    waits = [b - a for a, b in pairwise(failing_s)]
    assert waits == sorted(waits)
    assert waits[0] == 2
    assert waits[-1] == RETRY_AT_MOST_S
    assert listing.asked_s[-1] - listing.asked_s[-2] == 1
