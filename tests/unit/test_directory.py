"""Names from a cache: how many look-ups they cost, how long they are believed, who waits."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from streamer.enrichment import cache as module
from streamer.enrichment.answering import FAILED_S
from streamer.enrichment.cache import LIFETIME_S, REFRESH_S
from streamer.enrichment.directory import AT_ONCE, GONE_S, Directory
from streamer.enrichment.wanted import Wanted
from streamer.errors import FlatfileNotFoundError, FlatfileUnavailableError
from streamer.flatfile.lists import USERS, Lists
from streamer.flatfile.models import User
from tests.support.listed_account import ListedAccount, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.flatfile.models import Agent, Guest, Space
    from streamer.flatfile.objects import ListKey

PLENTY_S = 30.0
"""A wait that only a test that fails reaches."""

BRIEF_S = 0.01


class Account(ListedAccount):
    """An account that is listed as it stands, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.users_by_id: dict[str, str] = {}
        self.unlisted: dict[str, str] = {}
        self.guests_by_space: dict[str, dict[str, str]] = {}
        self.asked: Counter[str] = Counter()
        self.is_dead = False
        self.dead: set[str] = set()
        self.answers = asyncio.Event()
        self.answers.set()
        self.at_once = 0
        self.most_at_once = 0

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    async def _ask(self, what: str) -> None:
        self.asked[what] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.answers.wait()
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        if self.is_dead or what in self.dead:
            raise FlatfileUnavailableError(what=what, where="GET", next_step="wait")

    @override
    async def page(self, which: ListKey, *, archived: bool | None) -> Page:
        """List the users, the guests of a space, or nobody."""
        assert archived in {None, True}
        await self._ask(f"{which.kind}s")
        crowds = {"user": self.users_by_id, "guest": self.guests_by_space.get(which.within or "")}
        crowd = crowds.get(which.kind) or {}
        return Page({"id": id_, "name": name} for id_, name in crowd.items())

    async def user(self, user_id: str) -> User:
        """Find one user."""
        await self._ask("user")
        known = self.users_by_id | self.unlisted
        if user_id not in known:
            raise FlatfileNotFoundError(what=user_id, where="GET", next_step="wait")
        return User(id=user_id, name=known[user_id])

    async def guest(self, guest_id: str) -> Guest:
        """Find no guest."""
        await self._ask("guest")
        raise FlatfileNotFoundError(what=guest_id, where="GET", next_step="wait")

    async def agent(self, agent_id: str, environment_id: str) -> Agent:
        """Find no agent."""
        await self._ask("agent" + environment_id[:0])
        raise FlatfileNotFoundError(what=agent_id, where="GET", next_step="wait")

    async def space(self, space_id: str) -> Space:
        """Find no space."""
        await self._ask("space")
        raise FlatfileNotFoundError(what=space_id, where="GET", next_step="wait")

    def directory(self, wait_s: float = PLENTY_S) -> Directory:
        """Return one that has seen nothing."""
        return Directory(
            Lists(self), self, wait_s=wait_s, on_lookup=lambda *_: None, clock=self.clock
        )


@pytest.fixture
async def account() -> Account:
    """An account of nobody."""
    return Account()


def _user(number: int) -> Wanted:
    return Wanted("user", f"us_usr_{number}")


async def _turns(until: Callable[[], bool]) -> None:
    """Let what was started go on."""
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            while not until():  # noqa: ASYNC110 - the loop's own turns are what is waited for
                await asyncio.sleep(0)
    assert until()


async def test_four_hundred_users_cost_one_list(account: Account) -> None:
    """However many pages name them, and several at once."""
    account.users_by_id = {f"us_usr_{n}": f"User {n}" for n in range(400)}
    async with account.directory() as directory:
        pages = [[_user((page * 100 + n) % 400) for n in range(100)] for page in range(10)]
        answers = await asyncio.gather(*(directory.names(page) for page in pages))
    assert all(one.name for names in answers for one in names.values())
    assert account.asked == {"users": 1}


async def test_two_hundred_guests_in_ten_spaces_cost_ten_lists(account: Account) -> None:
    """One request a space."""
    for n in range(200):
        guests = account.guests_by_space.setdefault(f"us_sp_{n % 10}", {})
        guests[f"us_g_{n}"] = f"Guest {n}"
    wanted = [Wanted("guest", f"us_g_{n % 200}", f"us_sp_{n % 10}") for n in range(1_000)]
    async with account.directory() as directory:
        names = await directory.names(wanted)
    assert {one.name for one in names.values()} == {f"Guest {n}" for n in range(200)}
    assert account.asked == {"guests": 10}


async def test_a_dead_api_is_tried_by_few_and_asked_again_later(account: Account) -> None:
    """What fails is unresolved, is not repeated for `FAILED_S`, and is found once it is back."""
    account.users_by_id = {f"us_usr_{n}": "somebody" for n in range(10_000)}
    account.is_dead = True
    async with account.directory() as directory:
        first = await directory.names([_user(0)])
        assert first["us_usr_0"].resolution == "unresolved"
        before = account.asked.total()
        for page in range(50):
            names = await directory.names([_user(page * 100 + n) for n in range(100)])
            assert {one.resolution for one in names.values()} == {"unresolved"}
        assert account.asked.total() == before
        account.now += FAILED_S
        await directory.names([_user(n) for n in range(100)])
        await _turns(lambda: not directory._running)
        assert account.asked.total() - before <= AT_ONCE + 1
        account.is_dead = False
        account.now += FAILED_S
        await directory.names([_user(0)])
        await _turns(lambda: not directory._running)
        again = await directory.names([_user(n) for n in range(100)])
    assert {one.name for one in again.values()} == {"somebody"}


async def test_while_the_api_hangs_one_page_waits_and_no_other(account: Account) -> None:
    """After the first wait in vain, pages of others and of the same go on without a wait."""
    account.users_by_id = {f"us_usr_{n}": "somebody" for n in range(1_000)}
    account.answers.clear()
    async with account.directory(wait_s=BRIEF_S) as directory:
        await directory.names([_user(0)])
        # Whoever waits now fails the test.
        directory._wait_s = PLENTY_S
        async with asyncio.timeout(5):
            for page in range(20):
                account.now += FAILED_S
                names = await directory.names([_user(0), _user(page)])
                assert {one.resolution for one in names.values()} == {"unresolved"}
        account.answers.set()
        await _turns(lambda: not directory._running)
        names = await directory.names([_user(0)])
    assert names["us_usr_0"].name == "somebody"


async def test_a_rename_is_seen_after_the_lifetime_also_of_who_was_idle(account: Account) -> None:
    """An older name is waited for; before, a younger one is read anew while it is used."""
    account.users_by_id = {"us_usr_1": "Before"}
    async with account.directory() as directory:
        await directory.names([_user(1)])
        account.users_by_id["us_usr_1"] = "After"
        account.now += LIFETIME_S
        assert (await directory.names([_user(1)]))["us_usr_1"].name == "After"
        account.users_by_id["us_usr_1"] = "Later"
        account.now += REFRESH_S
        assert (await directory.names([_user(1)]))["us_usr_1"].name == "After"
        await _turns(lambda: not directory._running)
        assert (await directory.names([_user(1)]))["us_usr_1"].name == "Later"


async def test_an_old_name_is_used_while_the_api_is_dead(account: Account) -> None:
    """It is better than none, and is not looked up again by every page."""
    account.users_by_id = {"us_usr_1": "Ada"}
    async with account.directory() as directory:
        await directory.names([_user(1)])
        account.is_dead = True
        account.now += LIFETIME_S
        for _ in range(10):
            assert (await directory.names([_user(1)]))["us_usr_1"].name == "Ada"
    assert account.asked == {"users": 2, "user": 1}


async def test_who_was_deleted_is_not_found_and_that_is_believed_briefly(account: Account) -> None:
    """A negative answer lives `GONE_S`, a fifth of a name's life."""
    assert GONE_S < REFRESH_S
    account.users_by_id = {"us_usr_1": "Ada"}
    async with account.directory() as directory:
        await directory.names([_user(1)])
        account.users_by_id.clear()
        account.now += LIFETIME_S
        for _ in range(3):
            names = await directory.names([_user(1)])
            assert names["us_usr_1"].resolution == "not_found"
        assert account.asked == {"users": 2, "user": 1}
        account.unlisted["us_usr_1"] = "Ada again"
        account.now += GONE_S
        assert (await directory.names([_user(1)]))["us_usr_1"].name == "Ada again"


async def test_at_most_so_many_look_ups_run_at_once(account: Account) -> None:
    """Whatever a page names."""
    account.unlisted = {f"us_usr_{n}": "somebody" for n in range(200)}
    async with account.directory() as directory:
        names = await directory.names([_user(n) for n in range(200)])
    assert {one.resolution for one in names.values()} == {"resolved"}
    assert account.most_at_once == AT_ONCE


async def test_who_was_evicted_is_looked_up_again_and_not_taken_for_gone(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list longer than what is held says nothing of those who are not held, at any age."""
    monkeypatch.setattr(module, "ENTRIES", 100)
    account.users_by_id = {f"us_usr_{n}": f"User {n}" for n in range(150)}
    async with account.directory() as directory:
        for n in range(150):
            names = await directory.names([_user(n)], age_s=86_400)
            assert names[f"us_usr_{n}"].name == f"User {n}"
        assert len(directory._cache) == 100
    assert account.asked["users"] == 1


async def test_a_hundred_thousand_users_are_held_within_a_bound_and_cost_one_list(
    account: Account,
) -> None:
    """All of them are answered from the list that was read once."""
    account.users_by_id = {f"us_usr_{n}": f"User {n}" for n in range(100_000)}
    async with account.directory() as directory:
        for n in range(0, 100_000, 5_000):
            names = await directory.names([_user(n + i) for i in range(50)])
            assert all(one.name for one in names.values())
    assert account.asked == {"users": 1}


async def test_while_guests_cannot_be_had_users_are_waited_for(account: Account) -> None:
    """What is known of the API is known of each kind by itself."""
    account.users_by_id = {"us_usr_1": "Ada"}
    account.dead = {"guests", "guest"}
    async with account.directory() as directory:
        guest = Wanted("guest", "us_g_1", "us_sp_1")
        assert (await directory.names([guest]))["us_g_1"].resolution == "unresolved"
        names = await directory.names([guest, _user(1)])
    assert (names["us_usr_1"].name, names["us_g_1"].resolution) == ("Ada", "unresolved")


async def test_a_list_that_somebody_else_has_read_is_not_read_again(account: Account) -> None:
    """Its names are held, as if they had been asked for."""
    account.users_by_id = {f"us_usr_{n}": f"User {n}" for n in range(100)}
    lists = Lists(account)
    directory = Directory(
        lists, account, wait_s=PLENTY_S, on_lookup=lambda *_: None, clock=account.clock
    )
    async with directory:
        await lists.read(USERS, lambda _: None)
        names = await directory.names([_user(n) for n in range(100)])
    assert {one.name for one in names.values()} == {f"User {n}" for n in range(100)}
    assert account.asked == {"users": 1}
