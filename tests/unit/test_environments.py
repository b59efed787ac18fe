"""Which environments are known: listed, glimpsed, renamed, gone and back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from streamer.capture.environments import (
    GLIMPSED_AT_MOST,
    LISTED_EVERY_S,
    RETRIED_AFTER_S,
    Environments,
)
from streamer.errors import FlatfileUnavailableError
from streamer.flatfile.models import Environment
from tests.support.virtual_loop import run_virtually

if TYPE_CHECKING:
    from collections.abc import Sequence


def environment(name: str, title: str = "") -> Environment:
    """Return one of the account."""
    return Environment(id=f"us_env_{name}", name=title or name, account_id="us_acc_one")


@dataclass
class Account:
    """What its list shows, and when it was asked for."""

    listed: list[Environment] = field(default_factory=list)
    fails: bool = False
    asked_s: list[float] = field(default_factory=list)

    async def fetch(self) -> Sequence[Environment]:
        """Answer."""
        self.asked_s.append(asyncio.get_running_loop().time())
        if self.fails:
            raise FlatfileUnavailableError(where="list", what="gone", next_step="Wait.")
        return list(self.listed)


async def test_listed_environments_are_known_with_their_account() -> None:
    """Everything on the list is known, and so is whose it is."""
    account = Account([environment("a"), environment("b")])
    environments = Environments(account.fetch)
    assert environments.account_id is None
    await environments.refresh()
    assert set(environments.known) == {"us_env_a", "us_env_b"}
    assert environments.account_id == "us_acc_one"


async def test_only_included_environments_are_known() -> None:
    """With a choice of ids nothing else is known, whether it is listed or glimpsed."""
    account = Account([environment("a"), environment("b")])
    environments = Environments(account.fetch, included=("us_env_a", "us_env_z"))
    await environments.refresh()
    await environments.glimpse("us_env_c")
    await environments.glimpse("us_env_z")
    assert set(environments.known) == {"us_env_a", "us_env_z"}


async def test_environment_that_is_no_longer_listed_stays_known() -> None:
    """What vanishes from the list is not forgotten, and what is renamed has its new name."""
    account = Account([environment("a"), environment("b")])
    environments = Environments(account.fetch)
    await environments.refresh()
    account.listed = [environment("b", "renamed")]
    await environments.refresh()
    assert {one.name for one in environments.known.values()} == {"a", "renamed"}


async def test_list_that_cannot_be_read_changes_nothing() -> None:
    """A failure is told, and what is known stays."""
    account = Account([environment("a")])
    environments = Environments(account.fetch)
    await environments.refresh()
    account.fails = True
    with pytest.raises(FlatfileUnavailableError):
        await environments.refresh()
    assert set(environments.known) == {"us_env_a"}


async def test_return_to_the_list_is_told_once_to_who_listens() -> None:
    """Whoever listens hears when its own environment comes back, not each time it is listed."""
    account = Account([environment("a"), environment("b")])
    environments = Environments(account.fetch)
    await environments.refresh()
    heard: list[str] = []
    told = {name: (lambda name=name: heard.append(name)) for name in ("a", "b")}
    for name, tell in told.items():
        environments.listen(f"us_env_{name}", tell)
    await environments.refresh()
    account.listed = [environment("b")]
    await environments.refresh()
    assert heard == []
    account.listed = [environment("a"), environment("b")]
    await environments.refresh()
    await environments.refresh()
    assert heard == ["a"]
    environments.unlisten("us_env_a", told["b"])  # Somebody else listens: it stays.
    account.listed = []
    await environments.refresh()
    account.listed = [environment("a")]
    await environments.refresh()
    assert heard == ["a", "a"]


@pytest.mark.parametrize("crafted", ["../environments", "us_env_a/..", "", "x" * 200, "a b", "a?b"])
async def test_glimpsed_id_that_is_none_is_not_known(crafted: str) -> None:
    """An id of an event that would lead a request elsewhere is not taken for an environment."""
    environments = Environments(Account().fetch)
    await environments.glimpse(crafted)
    assert dict(environments.known) == {}


async def test_only_so_many_environments_are_glimpsed() -> None:
    """Events that name ever new environments cannot make a worker read ever more."""
    environments = Environments(Account().fetch)
    for number in range(GLIMPSED_AT_MOST + 100):
        await environments.glimpse(f"us_env_{number}")
        await environments.glimpse(f"us_env_{number}")
    assert len(environments.known) == GLIMPSED_AT_MOST


async def test_glimpsed_environment_gets_its_name_once_it_is_listed() -> None:
    """What an event has shown first is completed by the list."""
    account = Account()
    environments = Environments(account.fetch)
    await environments.glimpse("us_env_a")
    assert environments.known["us_env_a"].name == ""
    account.listed = [environment("a")]
    await environments.refresh()
    assert environments.known["us_env_a"].name == "a"


async def test_waiting_for_more_ends_with_the_first_new_one() -> None:
    """Whoever has some waits for others: a renamed one is none, a glimpsed one is."""
    account = Account([environment("a")])
    environments = Environments(account.fetch)
    await environments.refresh()
    waiting = asyncio.ensure_future(environments.more_than({"us_env_a"}))
    account.listed = [environment("a", "renamed")]
    await environments.refresh()
    await asyncio.sleep(0)
    assert not waiting.done()
    await environments.glimpse("us_env_b")
    async with asyncio.timeout(1):
        assert set(await waiting) == {"us_env_a", "us_env_b"}


def test_list_is_read_every_minute_and_sooner_after_a_failure() -> None:
    """It is read each minute, every few seconds while that fails, and then each minute again."""
    account = Account([environment("a")])

    async def scene() -> None:
        environments = Environments(account.fetch)
        running = asyncio.ensure_future(environments.run())
        await asyncio.sleep(2 * LISTED_EVERY_S + 1)
        account.fails = True
        await asyncio.sleep(LISTED_EVERY_S + 2 * RETRIED_AFTER_S)
        account.fails = False
        await asyncio.sleep(RETRIED_AFTER_S + 2 * LISTED_EVERY_S)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})

    run_virtually(scene())
    waits = [b - a for a, b in pairwise(account.asked_s)]
    assert waits == [LISTED_EVERY_S] * 2 + [RETRIED_AFTER_S] * 3 + [LISTED_EVERY_S] * 2
