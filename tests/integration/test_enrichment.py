"""Names from a Flatfile account over HTTP: what they cost, and what becomes of the gone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from streamer.config import FlatfileSettings
from streamer.enrichment.cache import LIFETIME_S
from streamer.enrichment.directory import Directory
from streamer.enrichment.wanted import Wanted
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.lists import Lists
from streamer.flatfile.transport import Patience
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WAIT_S = 2.0

PAGES = 10


class Names:
    """A directory over HTTP, with a clock that the test sets forward.

    Attributes:
        lookups: How often what was asked for, and with which outcome.
    """

    def __init__(self, client: FlatfileClient, wait_s: float) -> None:
        self.lookups: Counter[tuple[str, str]] = Counter()
        self._ahead_s = 0.0
        self.directory = Directory(
            Lists(client),
            client,
            wait_s=wait_s,
            on_lookup=lambda kind, outcome: self.lookups.update([(kind, outcome)]),
            clock=lambda: time.monotonic() + self._ahead_s,
        )

    def pass_lifetime(self) -> None:
        """Let every name grow old."""
        self._ahead_s += LIFETIME_S + 1

    def beside(self, *lists: str) -> int:
        """How many look-ups there were beside lists that were read."""
        return sum(n for (kind, _), n in self.lookups.items() if kind not in lists)


@pytest.fixture
async def names_of() -> AsyncIterator[Callable[..., Any]]:
    """Opens a directory of a sandbox's account."""
    async with AsyncExitStack() as stack:

        async def open_(sandbox: SandboxProcess, wait_s: float = WAIT_S) -> Names:
            settings = FlatfileSettings(
                api_url=sandbox.url, client_id="sandbox", secret=SecretStr("sandbox")
            )
            patience = Patience(attempts=2, wait_s=0.01, total_s=30.0)
            client = FlatfileClient(settings, patience=patience)
            names = Names(await stack.enter_async_context(client), wait_s)
            await stack.enter_async_context(names.directory)
            return names

        yield open_


async def test_a_thousand_events_of_four_hundred_users_cost_five_look_ups_beyond_the_list(
    names_of: Callable[..., Any],
) -> None:
    """All of them get their names."""
    async with SandboxProcess(events=0, users=400, environments=1) as sandbox:
        people = {user["id"]: user["name"] for user in (await sandbox.account())["users"]}
        assert len(people) == 400
        names = await names_of(sandbox)
        events = [Wanted("user", id_) for id_ in [*people, *people, *people]][:1_000]
        for page in range(PAGES):
            found = await names.directory.names(events[page * 100 : page * 100 + 100], age_s=60.0)
            assert {id_: one.name for id_, one in found.items()}.items() <= people.items()
    assert names.lookups["users", "found"] == 1
    assert names.beside("users") <= 5


async def test_a_thousand_events_of_two_hundred_guests_in_ten_spaces_cost_twenty_look_ups(
    names_of: Callable[..., Any],
) -> None:
    """A request for each space, and a few more at most."""
    async with SandboxProcess(events=0, guests=200, spaces=10, environments=1) as sandbox:
        (environment,) = (await sandbox.account())["environments"]
        guests = {guest["id"]: guest for guest in environment["guests"]}
        assert len(guests) == 200
        names = await names_of(sandbox)
        events = [Wanted("guest", id_, _space_of(guests[id_])) for id_ in [*guests] * 5]
        assert len({event.within for event in events}) == 10
        for page in range(PAGES):
            found = await names.directory.names(events[page * 100 : page * 100 + 100])
            assert {one.resolution for one in found.values()} == {"resolved"}
    assert names.lookups.total() <= 20


def _space_of(guest: dict[str, Any]) -> str:
    return str(guest["spaces"][0]["id"])


async def test_who_is_renamed_is_renamed_and_who_is_deleted_is_not_found(
    names_of: Callable[..., Any],
) -> None:
    """Within the lifetime of a name, in records from then on."""
    async with SandboxProcess(events=0, users=10, environments=1) as sandbox:
        renamed, deleted, *_ = [user["id"] for user in (await sandbox.account())["users"]]
        names = await names_of(sandbox)
        wanted = [Wanted("user", renamed), Wanted("user", deleted)]
        before = await names.directory.names(wanted)
        assert before[deleted].resolution == "resolved"
        await sandbox.post("objects", {"id": renamed, "changes": {"name": "Grace Hopper"}})
        await sandbox.post("objects", {"id": deleted})
        names.pass_lifetime()
        after = await names.directory.names(wanted)
    assert before[renamed].name != after[renamed].name == "Grace Hopper"
    assert (after[deleted].resolution, after[deleted].name) == ("not_found", None)


@pytest.mark.parametrize("fault", ["error_500", "hang"])
async def test_with_the_look_ups_dead_all_pages_together_wait_less_than_two_of_them_might(
    names_of: Callable[..., Any], fault: str
) -> None:
    """Each is `unresolved`; when the API is back, later records have the names."""
    async with SandboxProcess(
        events=0, users=200, environments=1, faults_on="/v1/users", hang_s=5.0, **{fault: 1.0}
    ) as sandbox:
        people = [user["id"] for user in (await sandbox.account())["users"]]
        names = await names_of(sandbox, wait_s=1.0)
        began = time.monotonic()
        for page in range(PAGES):
            ids = people[page * 20 : page * 20 + 20]
            found = await names.directory.names([Wanted("user", id_) for id_ in ids])
            assert {one.resolution for one in found.values()} == {"unresolved"}
        assert (time.monotonic() - began) / 1.0 < 2
        await sandbox.settings(**{fault: 0.0})
        names.pass_lifetime()
        wanted = [Wanted("user", id_) for id_ in people]
        async with asyncio.timeout(30):
            while {one.resolution for one in (await names.directory.names(wanted)).values()} != {
                "resolved"
            }:
                await asyncio.sleep(0.01)
                names.pass_lifetime()
