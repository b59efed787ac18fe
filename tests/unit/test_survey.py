"""A survey of servers that the sandbox cannot play: what they keep from us is said, not guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from streamer.errors import FlatfileAnswerError
from streamer.flatfile.server_profile import Order
from streamer.flatfile.survey import Survey, Surveyor
from tests.support.pages import parse_page

if TYPE_CHECKING:
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.pages import Page

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


class Server:
    """Lists events of one a minute, oldest first, to the millisecond.

    Attributes:
        least: Events that a page has even if fewer are asked for.
        deepest: Events behind which no page is given; None: all are.
        lists_all: Whether it answers without an environment.
    """

    def __init__(
        self, events: int, *, least: int = 1, deepest: int | None = None, lists_all: bool = True
    ) -> None:
        self.least = least
        self.deepest = deepest
        self.lists_all = lists_all
        times = (BEGIN + timedelta(minutes=number) for number in range(events))
        self._events = [(f"us_evt_{number}", at) for number, at in enumerate(times)]

    async def page(self, request: PageRequest, scope: str | None) -> Page:
        """Answer as asked, or refuse."""
        size = max(self.least, min(request.size, 100))
        begin = (request.number - 1) * size
        is_refused = scope is None and not self.lists_all
        if is_refused or (self.deepest is not None and begin >= self.deepest):
            raise FlatfileAnswerError(where="GET /events", what="status 400, refused", next_step="")
        shown = [each for each in self._events if request.since is None or each[1] >= request.since]
        rows = [
            {"id": id_, "topic": "job:ready", "createdAt": at.isoformat()}
            for id_, at in shown[begin : begin + size]
        ]
        return parse_page(orjson.dumps({"data": rows}), BEGIN)


async def _look(server: Server, environments: int = 1) -> Survey:
    ids = [f"us_env_{number}" for number in range(environments)]
    return await Surveyor(server.page, page_size=1000).look(ids, start=None, backlog=True)


async def test_a_server_with_a_least_page_is_not_counted_by_single_events() -> None:
    """Where ten come for one, the place of an event is not its page's number."""
    survey = await _look(Server(5000, least=10))
    assert survey.backlog is not None
    assert survey.backlog.events == 100
    assert survey.backlog.unknown_beyond == "the server gives 10 events where one is asked for"
    assert (survey.cap, survey.order) == (100, Order.OLDEST_FIRST)


async def test_a_server_that_gives_no_deep_page_is_counted_as_far_as_it_goes() -> None:
    """What lies behind the last page that a server gives is not taken for the end."""
    survey = await _look(Server(50_000, deepest=10_000))
    assert survey.backlog is not None
    assert 5_000 < survey.backlog.events <= 10_000
    assert survey.backlog.unknown_beyond is not None
    assert "no page so far in (status 400, refused)" in survey.backlog.unknown_beyond


async def test_a_server_that_does_not_list_all_at_once_leaves_the_backlog_open() -> None:
    """Of many environments the backlog is that of the account, if the server tells it."""
    survey = await _look(Server(5000, lists_all=False), environments=6)
    assert survey.order is Order.OLDEST_FIRST
    assert survey.backlog is not None
    assert survey.backlog.unknown_beyond is not None
    assert "does not list all environments at once" in survey.backlog.unknown_beyond
