"""Lists of the account: read once for all who listen, however many ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from streamer.errors import FlatfileUnavailableError
from streamer.flatfile.lists import USERS, Lists
from streamer.flatfile.objects import ListKey
from tests.support.listed_account import ListedAccount, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.flatfile.objects import Element

SPACES = ListKey("space", "us_env_1")
HELD, ARCHIVED = {"id": "us_sp_1"}, {"id": "us_sp_2", "archivedAt": "2026-11-01T00:00:00Z"}


class Server(ListedAccount):
    """Answers every list with one page.

    Attributes:
        shows_archived: Whether archived spaces are in the list of all.
        answers: Cleared, nobody gets one.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[ListKey, bool | None]] = []
        self.shows_archived = True
        self.is_dead = False
        self.answers = asyncio.Event()
        self.answers.set()

    @override
    async def page(self, which: ListKey, *, archived: bool | None) -> Page:
        """Show the spaces, or one environment or user."""
        self.asked.append((which, archived))
        await asyncio.sleep(0)
        await self.answers.wait()
        if self.is_dead:
            raise FlatfileUnavailableError(what="dead", where="GET", next_step="wait")
        shown: list[dict[str, str]] = [{"id": f"us_{which.kind}_1"}]
        if which.kind == "space":
            shown = [] if archived else [HELD]
            if archived or self.shows_archived:
                shown = [*shown, ARCHIVED]
        return Page(shown)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.done_with: list[bool] = []

    def __call__(self, which: ListKey) -> Heard:
        """Listen to every list."""
        assert which.kind
        return self

    def take(self, elements: Sequence[Element]) -> None:
        """Keep the ids."""
        self.ids += [element.id for element in elements]

    def done(self, *, complete: bool) -> None:
        """Keep how it ended."""
        self.done_with.append(complete)


async def test_a_list_that_is_being_read_is_not_read_twice() -> None:
    """Ten who ask at once cost one request, and each listener is told once."""
    server, heard = Server(), Heard()
    lists = Lists(server)
    lists.listen(heard)
    await asyncio.gather(*(lists.read(USERS, heard) for _ in range(10)))
    assert (len(server.asked), heard.ids, heard.done_with) == (1, ["us_user_1"], [True])
    await lists.read(USERS, heard)
    assert len(server.asked) == 2


async def test_whoever_reads_and_is_cancelled_leaves_the_list_to_the_next() -> None:
    """Nobody waits for a reader that is gone."""
    server, heard = Server(), Heard()
    server.answers.clear()
    lists = Lists(server)
    lists.listen(heard)
    first = asyncio.ensure_future(lists.read(USERS, heard))
    second = asyncio.ensure_future(lists.read(USERS, heard))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    server.answers.set()
    await second
    assert first.cancelled()
    assert len(server.asked) == 2


async def test_who_listens_once_a_list_is_being_read_is_told_by_the_next_reading() -> None:
    """Else whoever takes a shard over would miss what others are reading just then."""
    server, first, late = Server(), Heard(), Heard()
    server.answers.clear()
    lists = Lists(server)
    lists.listen(first)
    reading = asyncio.ensure_future(lists.read(USERS, first))
    await asyncio.sleep(0)
    lists.listen(late)
    again = [asyncio.ensure_future(lists.read(USERS, one)) for one in (late, late, first)]
    await asyncio.sleep(0)
    server.answers.set()
    await asyncio.gather(reading, *again)
    assert late.ids == ["us_user_1"]
    assert len(server.asked) == 2


async def test_a_list_that_fails_is_not_done() -> None:
    """Who listens is not told that it was read to its end."""
    server, heard = Server(), Heard()
    server.is_dead = True
    lists = Lists(server)
    lists.listen(heard)
    with pytest.raises(FlatfileUnavailableError):
        await lists.read(USERS, heard)
    assert heard.done_with == []


async def test_archived_spaces_are_asked_for_until_the_list_of_all_has_shown_one() -> None:
    """Both readings of the documentation show the same spaces."""
    for shows, requests in ((True, [None, None]), (False, [None, True, None, True])):
        server, heard = Server(), Heard()
        server.shows_archived = shows
        lists = Lists(server)
        lists.listen(heard)
        await lists.read(SPACES, heard)
        await lists.read(SPACES, heard)
        assert [archived for _, archived in server.asked] == requests
        assert heard.ids == ["us_sp_1", "us_sp_2"] * 2
        assert heard.done_with == [True, True]


async def test_environments_are_told_to_listeners_as_well() -> None:
    """The worker's own look at them serves the inventory, too."""
    server, heard = Server(), Heard()
    lists = Lists(server)
    lists.listen(heard)
    assert [one.id for one in await lists.environments()] == ["us_environment_1"]
    assert heard.ids == ["us_environment_1"]
    lists.unlisten(heard)
    await lists.environments()
    assert heard.ids == ["us_environment_1"]
