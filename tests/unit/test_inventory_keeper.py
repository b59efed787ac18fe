"""A keeper's passes over an account that is listed as it stands: what it asks, and publishes."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from typing_extensions import override

from streamer.audit.privacy import CLEAR
from streamer.errors import (
    FlatfileError,
    FlatfileForbiddenError,
    FlatfileNotFoundError,
    FlatfileUnavailableError,
)
from streamer.flatfile.lists import ENVIRONMENTS, USERS, Lists
from streamer.flatfile.objects import ListKey
from streamer.inventory.due import GUESTS_EVERY_S
from streamer.inventory.keeper import FAILURES_AT_MOST, Keeper, Parts
from streamer.inventory.told import Told
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.listed_account import ListedAccount, Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.inventory.table import Change

INTERVAL_S = 300.0
SPACES, AGENTS = ListKey("space", "us_env_1"), ListKey("agent", "us_env_1")
GUESTS = ListKey("guest", "us_sp_1")


class Account(ListedAccount):
    """An account of one environment with a space, an agent, a user and a guest, and its keeper.

    Attributes:
        lists: What each list shows; what is not in it is not found.
        failing: What reading a list ends with.
        cut: Lists that are not shown whole.
    """

    def __init__(self) -> None:
        self.now = 1_000.0
        self.lists: dict[ListKey, list[dict[str, Any]]] = {
            ENVIRONMENTS: [{"id": "us_env_1"}],
            USERS: [{"id": "us_usr_1"}],
            SPACES: [{"id": "us_sp_1", "environmentId": "us_env_1", "archivedAt": "2026-11-01"}],
            AGENTS: [{"id": "us_ag_1", "environmentId": "us_env_1"}],
            GUESTS: [{"id": "us_g_1", "spaces": [{"id": "us_sp_1"}]}],
        }
        self.failing: dict[ListKey, type[FlatfileError]] = {}
        self.cut: set[ListKey] = set()
        self.asked: Counter[ListKey] = Counter()
        self.published: list[Change] = []
        self.shared = Lists(self)
        self.told = Told(lambda: self.now)
        self.keeper = self.new_keeper()

    def new_keeper(self) -> Keeper:
        """What a worker that takes the shard over begins with: what is published."""
        parts = Parts(
            lists=self.shared,
            told=self.told,
            incidents=Incidents(Metrics(Board())),
            privacy=CLEAR,
            account_id="us_acc_1",
            interval_s=INTERVAL_S,
        )
        keeper = Keeper(
            parts,
            owns=lambda environment: environment != "us_env_other",
            has_account=True,
            clock=lambda: self.now,
        )
        for change in self.published:
            keeper.restore(change.key, change.value)
        self.shared.listen(keeper._listen)
        return keeper

    @override
    async def page(self, which: ListKey, *, archived: bool | None) -> Page:
        """Show a list."""
        assert archived is None
        self.asked[which] += 1
        error = self.failing.get(which, None if which in self.lists else FlatfileNotFoundError)
        if error is not None:
            raise error(where="GET", what="refused", next_step="Wait.")
        return Page(self.lists[which], is_whole=which not in self.cut)

    async def look(self) -> dict[str, str]:
        """Make a pass, an interval later than the last one; what it published."""
        before = len(self.published)
        await self.keeper.look(self._publish)
        self.now += INTERVAL_S
        return {change.key.decode(): change.what for change in self.published[before:]}

    async def _publish(self, environment_id: str, changes: Sequence[Change]) -> None:
        assert environment_id in {"", "us_env_1"}
        self.published += changes


@pytest.fixture
async def account() -> Account:
    """An account that has been looked at once."""
    account = Account()
    assert await account.look() == {
        "environment/us_env_1": "appeared",
        "user/us_usr_1": "appeared",
        "space/us_sp_1": "appeared",
        "agent/us_ag_1": "appeared",
        "guest/us_g_1": "appeared",
    }
    return account


async def test_a_pass_without_changes_publishes_nothing(account: Account) -> None:
    """However many there are, and none of them asks for guests within the hour."""
    for _ in range(5):
        assert await account.look() == {}
    assert account.asked == {ENVIRONMENTS: 6, USERS: 6, SPACES: 6, AGENTS: 6, GUESTS: 1}


async def test_guests_are_asked_for_after_an_hour_and_when_the_space_has_changed(
    account: Account,
) -> None:
    """And when an event tells that somebody was invited, which changes no space."""
    account.lists[SPACES][0]["name"] = "Renamed"
    assert await account.look() == {"space/us_sp_1": "changed"}
    assert account.asked[GUESTS] == 2
    account.now += GUESTS_EVERY_S
    await account.look()
    assert account.asked[GUESTS] == 3
    account.told._at[GUESTS] = account.now
    account.lists[GUESTS].append({"id": "us_g_2"})
    assert await account.look() == {"guest/us_g_2": "appeared"}
    await account.look()
    assert account.asked[GUESTS] == 4


@pytest.mark.parametrize(
    ("which", "key"),
    [(AGENTS, "agent/us_ag_1"), (SPACES, "space/us_sp_1"), (USERS, "user/us_usr_1")],
)
async def test_what_is_deleted_is_a_tombstone_within_two_passes(
    account: Account, which: ListKey, key: str
) -> None:
    """And what was in it as well."""
    account.lists[which] = []
    assert await account.look() == {}
    gone = await account.look()
    assert gone[key] == "gone"
    assert gone.keys() - {key} == ({"guest/us_g_1"} if which == SPACES else set())
    assert await account.look() == {}


async def test_a_guest_that_was_removed_is_looked_for_again_at_once(account: Account) -> None:
    """The second look does not wait for another hour."""
    account.lists[GUESTS] = []
    account.now += GUESTS_EVERY_S
    assert await account.look() == {}
    assert await account.look() == {"guest/us_g_1": "gone"}


@pytest.mark.parametrize(
    "error", [FlatfileUnavailableError, FlatfileForbiddenError, FlatfileNotFoundError]
)
async def test_a_list_that_fails_makes_nothing_gone(
    account: Account, error: type[FlatfileError]
) -> None:
    """However often, as long as the environment is listed."""
    account.failing = dict.fromkeys((SPACES, AGENTS, GUESTS, USERS), error)
    for _ in range(4):
        account.now += GUESTS_EVERY_S
        assert await account.look() == {}


async def test_a_list_that_is_not_whole_makes_nothing_gone(account: Account) -> None:
    """What it shows is published all the same."""
    account.cut = set(account.lists)
    account.lists = {which: [] for which in account.lists}
    account.lists[USERS] = [{"id": "us_usr_2"}]
    account.now += GUESTS_EVERY_S
    assert await account.look() == {"user/us_usr_2": "appeared"}
    for _ in range(3):
        account.now += GUESTS_EVERY_S
        assert await account.look() == {}


async def test_what_was_in_an_environment_that_is_gone_is_gone_with_it(account: Account) -> None:
    """Not found alone says nothing, and not listed alone neither."""
    account.lists = {ENVIRONMENTS: [], USERS: account.lists[USERS]}
    published = (await account.look()) | (await account.look()) | (await account.look())
    assert published == {
        "environment/us_env_1": "gone",
        "space/us_sp_1": "gone",
        "agent/us_ag_1": "gone",
        "guest/us_g_1": "gone",
    }


async def test_an_environment_that_is_not_listed_but_answers_keeps_what_it_holds(
    account: Account,
) -> None:
    """What its own lists show is there."""
    account.lists[ENVIRONMENTS] = []
    published = (await account.look()) | (await account.look())
    assert published == {"environment/us_env_1": "gone"}
    account.lists[AGENTS][0]["slug"] = "renamed"
    assert await account.look() == {"agent/us_ag_1": "changed"}


async def test_a_keeper_that_takes_over_publishes_only_what_changed_meanwhile(
    account: Account,
) -> None:
    """Nothing twice, and nothing lost."""
    account.lists[AGENTS] = [{"id": "us_ag_2", "environmentId": "us_env_1"}]
    account.keeper = account.new_keeper()
    assert await account.look() == {"agent/us_ag_2": "appeared"}
    assert await account.look() == {"agent/us_ag_1": "gone"}


async def test_an_environment_of_another_shard_is_left_to_it(account: Account) -> None:
    """Neither published nor read."""
    account.lists[ENVIRONMENTS].append({"id": "us_env_other"})
    assert await account.look() == {}
    assert {which.within for which in account.asked} == {None, "us_env_1", "us_sp_1"}


async def test_a_list_that_somebody_else_had_read_is_not_read_again(account: Account) -> None:
    """And what it showed is published with the next pass."""
    account.now += INTERVAL_S
    account.lists[USERS] = [{"id": "us_usr_1", "name": "Renamed"}]
    before = account.asked[USERS]
    await account.shared.read(USERS, lambda _: None)
    assert await account.look() == {"user/us_usr_1": "changed"}
    assert account.asked[USERS] == before + 1


async def test_a_pass_ends_early_when_nothing_answers(account: Account) -> None:
    """The next one begins anew, when something does."""
    for number in range(20):
        which = ListKey("agent", f"us_env_{number}")
        account.lists[ENVIRONMENTS].append({"id": which.within})
        account.lists[which] = account.lists[which._replace(kind="space")] = []
    account.asked.clear()
    account.failing = dict.fromkeys(account.lists, FlatfileUnavailableError)
    await account.look()
    assert account.asked.total() == FAILURES_AT_MOST
    account.failing = {}
    assert len(await account.look()) == 19  # us_env_1 was there


@pytest.mark.parametrize(
    ("third", "later_s"), [(GUESTS, GUESTS_EVERY_S), (ListKey("space", "us_env_2"), 0.0)]
)
async def test_lists_that_always_fail_do_not_hide_those_behind_them(
    account: Account, third: ListKey, later_s: float
) -> None:
    """The next pass begins where the last one ended, so that each list has its turn."""
    for number in range(2, 6):
        which = ListKey("agent", f"us_env_{number}")
        account.lists[ENVIRONMENTS].append({"id": which.within})
        account.lists[which] = account.lists[which._replace(kind="space")] = []
    agents = {which for which in account.lists if which.kind == "agent"}
    account.failing = dict.fromkeys((SPACES, AGENTS, third), FlatfileUnavailableError)
    account.asked.clear()
    account.now += later_s
    await account.look()
    assert account.asked.keys() == {ENVIRONMENTS, USERS, *account.failing}
    await account.look()
    assert agents <= account.asked.keys()


async def test_looks_that_follow_each_other_at_once_make_nothing_gone(account: Account) -> None:
    """A page that moved may hide the same object from two readings of one moment."""
    account.lists[ENVIRONMENTS] = []
    for _ in range(3):
        await account.shared.environments()
    assert await account.look() == {}
    assert await account.look() == {"environment/us_env_1": "gone"}


async def test_a_change_that_no_event_told_of_shows_as_such(account: Account) -> None:
    """Where it is known: not at the first look of a worker, and not of what was told of."""
    assert all("observed_only" not in json.loads(c.value or b"") for c in account.published)
    account.now += GUESTS_EVERY_S
    await account.look()
    account.lists[AGENTS] += [{"id": "us_ag_2"}, {"id": "us_ag_3"}]
    account.lists[GUESTS] += [{"id": "us_g_2"}]
    account.told._at["us_ag_2"] = account.told._at[GUESTS] = account.now
    await account.look()
    said = {c.key.decode(): json.loads(c.value or b"") for c in account.published[-3:]}
    assert {key: one["observed_only"] for key, one in said.items()} == {
        "agent/us_ag_2": False,
        "agent/us_ag_3": True,
        "guest/us_g_2": False,
    }
