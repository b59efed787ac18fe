"""Flatfile's own Python SDK reads the sandbox: a judge that shares no code with us.

The SDK has no call for the exchange of a key pair, so that one request is made by hand.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pydantic
import pytest
from flatfile import AsyncFlatfile
from flatfile.commons.types.errors import Errors
from flatfile.core.api_error import ApiError
from flatfile.events.types.event import Event

from streamer.sandbox.catalog import TOPICS
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KNOWN = {kind.model_fields["topic"].default for kind in typing.get_args(Event)}


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    """A small account without events."""
    async with SandboxProcess(events=0, environments=2, agents=3) as process:
        yield process


@pytest.fixture
async def flatfile(sandbox: SandboxProcess) -> AsyncIterator[AsyncFlatfile]:
    """The SDK, logged in with the key pair."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{sandbox.url}/auth",
            json={"type": "apiCredentials", "clientId": "sandbox", "secret": "sandbox"},
        ) as response,
    ):
        token = (await response.json())["accessToken"]
    # The SDK never closes a client of its own.
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        yield AsyncFlatfile(base_url=sandbox.url, token=token, httpx_client=client)


async def test_sdk_lists_every_kind_of_object(
    sandbox: SandboxProcess, flatfile: AsyncFlatfile
) -> None:
    """The SDK parses every listing and every single object, and finds what the account has."""
    account = await sandbox.account()
    environments = (await flatfile.environments.list()).data
    assert {one.id for one in environments} == {one["id"] for one in account["environments"]}
    environment = account["environments"][0]
    place = environment["id"]
    assert (await flatfile.environments.get(place)).data.name == "production"

    users = (await flatfile.users.list(page_size=100)).data
    assert [user.id for user in users] == [user["id"] for user in account["users"]]
    assert (await flatfile.users.get(users[0].id)).data.email == users[0].email

    spaces = (await flatfile.spaces.list(environment_id=place, page_size=100)).data
    assert [space.id for space in spaces] == [space["id"] for space in environment["spaces"]]
    assert all("PLANTED" in f"{space.access_token}" for space in spaces)
    assert all("PLANTED" in f"{space.guest_link}" for space in spaces)
    assert (await flatfile.spaces.get(spaces[0].id)).data.name == spaces[0].name

    guests = {
        guest.id: guest
        for space in spaces
        for guest in (await flatfile.guests.list(space_id=space.id)).data
    }
    assert set(guests) == {guest["id"] for guest in environment["guests"]}
    guest = next(iter(guests.values()))
    assert (await flatfile.guests.get(guest.id)).data.email == guest.email

    agents = (await flatfile.agents.list(environment_id=place)).data or []
    assert [agent.id for agent in agents] == [agent["id"] for agent in environment["agents"]]
    agent = await flatfile.agents.get(agents[0].id, environment_id=place)
    assert agent.data is not None
    assert agent.data.slug == agents[0].slug


async def test_sdk_parses_events_of_every_topic_it_knows(
    sandbox: SandboxProcess, flatfile: AsyncFlatfile
) -> None:
    """The SDK reads events of all its 61 topics, each as the class of its topic."""
    assert set(TOPICS) >= KNOWN
    (place, *_) = await sandbox.environments()
    for topic in sorted(KNOWN):
        await sandbox.emit(place, topic)
    events: list[Any] = (
        await flatfile.events.list(environment_id=place, page_size=1000, include_acknowledged=True)
    ).data
    assert len(events) == len(KNOWN) == 61
    assert {event.topic for event in events} == KNOWN
    assert {type(event) for event in events} == set(typing.get_args(Event))
    one = (await flatfile.events.get(events[0].id)).data
    assert one == events[0]
    since = events[-1].created_at
    later = (await flatfile.events.list(environment_id=place, since=since, page_size=1)).data
    assert later[0].created_at >= since.replace(microsecond=since.microsecond // 1000 * 1000)


async def test_sdk_refuses_a_page_with_a_topic_that_it_does_not_know(
    sandbox: SandboxProcess, flatfile: AsyncFlatfile
) -> None:
    """One event of a newer topic makes the SDK refuse its whole page: why we do not use it."""
    (place, *_) = await sandbox.environments()
    await sandbox.emit(place, "workbook:updated")
    assert len((await flatfile.events.list(environment_id=place)).data) == 1
    await sandbox.emit(place, "thread:created")
    with pytest.raises(pydantic.ValidationError):
        await flatfile.events.list(environment_id=place)


async def test_sdk_understands_refusals(sandbox: SandboxProcess, flatfile: AsyncFlatfile) -> None:
    """What the sandbox refuses has the status and the body that the SDK knows."""
    refused = {
        404: (flatfile.events.get("us_evt_none"), flatfile.guests.list(space_id="us_sp_none")),
        400: (flatfile.guests.list(space_id=""), flatfile.users.list(page_size=0)),
    }
    for status, calls in refused.items():
        for call in calls:
            with pytest.raises(ApiError) as caught:
                await call
            assert caught.value.status_code == status
            assert Errors.model_validate(caught.value.body).errors[0].message
    assert await sandbox.ledger() == []
