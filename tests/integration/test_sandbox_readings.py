"""The sandbox under the other readings of its documentation, and its hostile events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import pytest

from streamer.sandbox import hostile
from tests.support.sandbox_client import Reader, reading


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time of day."""
        return self.now_s


async def everything(reader: Reader, size: int = 1000, **query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Return all events that a listing shows, page by page to an empty one."""
    events: list[dict[str, Any]] = []
    number = 1
    while page := await reader.rows(
        "events", pageSize=size, pageNumber=number, includeAcknowledged="true", **query
    ):
        events += page
        number += 1
    return events


def ids_of(events: list[dict[str, Any]]) -> list[str]:
    """Return their ids."""
    return [event["id"] for event in events]


async def test_newest_first_is_the_reverse() -> None:
    """Newest first shows the same events in the other order, with `since` and for all places.

    Also where the backlog is interrupted: by events that came into it later, and by gaps.
    """
    async with reading(events=900, environments=2) as reader:
        (environment, _) = reader.sandbox.environments
        before = await everything(reader, environmentId=environment)
        for place in (100, 110, 300):
            created_at = before[place]["createdAt"]
            reader.sandbox.emit(environment, "job:ready", count=2, createdAt=created_at)
            assert reader.sandbox.world.remove(before[place + 5]["id"])
        for size, query in ((70, {"environmentId": environment}), (1000, {})):
            oldest = await everything(reader, size, **query)
            since = oldest[len(oldest) // 2]["createdAt"]
            later = await everything(reader, size, since=since, **query)
            reader.sandbox.change(order="newest")
            assert await everything(reader, size, **query) == oldest[::-1]
            assert await everything(reader, size, since=since, **query) == later[::-1]
            reader.sandbox.change(order="oldest")


async def test_shuffled_has_no_order_but_stays() -> None:
    """Without order the same events are shown, in places that do not change between requests."""
    async with reading(events=600, environments=1) as reader:
        oldest = await everything(reader, 50)
        reader.sandbox.change(order="shuffled")
        shuffled = await everything(reader, 50)
        assert sorted(ids_of(shuffled)) == sorted(ids_of(oldest))
        times = [event["createdAt"] for event in shuffled]
        rises = sum(a < b for a, b in pairwise(times))
        assert 200 < rises < 400
        assert await everything(reader, 70) == shuffled
        since = oldest[300]["createdAt"]
        assert sorted(ids_of(await everything(reader, since=since))) == sorted(ids_of(oldest[300:]))


async def test_exclusive_since_leaves_out_its_own_instant() -> None:
    """An exclusive `since` shows nothing of its instant, one cut to seconds all of its second."""
    clock = Clock()
    async with reading(clock, events=0, environments=1) as reader:
        (environment,) = reader.sandbox.environments
        reader.sandbox.emit(environment, count=3)
        clock.now_s += 0.25
        reader.sandbox.emit(environment, count=2)
        since = datetime.fromtimestamp(clock.now_s, UTC).isoformat()
        assert len(await everything(reader, since=since)) == 2
        reader.sandbox.change(since_bound="exclusive")
        assert len(await everything(reader, since=since)) == 0
        reader.sandbox.change(since_bound="inclusive", since_resolution="cut")
        assert len(await everything(reader, since=since)) == 5


@pytest.mark.parametrize("stable", [False, True])
async def test_arrivals_shift_pages_unless_they_are_stable(*, stable: bool) -> None:
    """Newest first, what arrives between two pages repeats rows, unless pages are stable."""
    async with reading(events=100, environments=1, order="newest", stable_pages=stable) as reader:
        (environment,) = reader.sandbox.environments
        asked = {"pageSize": 40, "includeAcknowledged": "true"}
        first = await reader.rows("events", **asked)
        reader.sandbox.emit(environment, count=10)
        second = await reader.rows("events", pageNumber=2, **asked)
        repeated = set(ids_of(first)) & set(ids_of(second))
        assert len(repeated) == (0 if stable else 10)
        assert len(set(ids_of(await reader.rows("events", **asked))) - set(ids_of(first))) == 10


async def test_live_events_can_be_late() -> None:
    """The share that was asked for appears late, by up to the time that was asked for."""
    clock = Clock()
    async with reading(
        clock, events=0, rate=100.0, late_share=0.3, late_most_s=20.0, environments=1
    ) as reader:
        clock.now_s += 10
        early = await everything(reader)
        assert 0.7 < len(early) / 1000 < 0.9
        reader.sandbox.change(rate=0.0)
        clock.now_s += 20
        late = await everything(reader)
        assert 999 <= len(late) <= 1001
        assert ids_of(early) != ids_of(late)[: len(early)]
        assert [e["createdAt"] for e in late] == sorted(e["createdAt"] for e in late)


async def test_events_expire_by_age_and_by_chance() -> None:
    """Events vanish when they are old enough, or at a rate; the ledger keeps what was shown."""
    clock = Clock()
    async with reading(clock, events=500, days=1.0, environments=1) as reader:
        before = await everything(reader)
        reader.sandbox.change(expire_after_s=43_200.0)
        after = await everything(reader)
        assert 200 < len(after) < 300
        assert ids_of(after) == ids_of(before)[-len(after) :]
        reader.sandbox.change(expire_after_s=0.0, expire_rate=10.0)
        clock.now_s += 5
        assert len(await everything(reader)) == 450
        assert (await reader.get("events/" + before[0]["id"]))[0] in {200, 404}
        assert len(reader.sandbox.ledger()) == 500


async def test_events_are_erased_and_acknowledged_later() -> None:
    """Events change after they were shown, and the ledger has a line for each erasure shown."""
    clock = Clock()
    async with reading(clock, events=300, environments=1) as reader:
        before = await everything(reader)
        reader.sandbox.change(erase_rate=10.0, acknowledge_rate=10.0)
        clock.now_s += 5
        reader.sandbox.change(erase_rate=0.0, acknowledge_rate=0.0)
        after = await everything(reader)
        assert ids_of(after) == ids_of(before)
        erased = {event["id"] for event in after if event["deletedAt"]}
        assert 35 < len(erased) <= 50
        lines = [entry for entry in reader.sandbox.ledger() if entry["deletedAt"]]
        assert {entry["id"] for entry in lines} == erased
        assert len(reader.sandbox.ledger()) == 300 + len(erased)
        unacknowledged = await reader.rows("events", pageSize=1000)
        assert len(unacknowledged) == sum(event["acknowledgedAt"] is None for event in after)
        assert len(unacknowledged) < 265


async def test_date_header_is_the_accounts_time_or_off_by_what_was_asked() -> None:
    """`Date` is the time of events, unless it is told to be ahead."""
    clock = Clock()
    async with reading(clock, events=0) as reader:
        for skew_s in (0.0, 3600.0, -90.0):
            reader.sandbox.change(date_skew_s=skew_s)
            async with reader.session.get(f"{reader.sandbox.url}/users") as response:
                at = parsedate_to_datetime(response.headers["Date"])
            assert at.timestamp() == clock.now_s + skew_s


async def page_of(reader: Reader) -> bytes:
    """Return the bytes of the first page of events."""
    headers = {"Authorization": f"Bearer {reader.token}"}
    query = {"pageSize": "1000", "includeAcknowledged": "true"}
    url = f"{reader.sandbox.url}/events"
    async with reader.session.get(url, headers=headers, params=query) as response:
        assert response.status == 200
        return await response.read()


@pytest.mark.parametrize("kind", hostile.KINDS)
async def test_hostile_event_stands_between_its_neighbours(kind: str) -> None:
    """A hostile event has its bytes in the page, its neighbours are whole, the ledger has all."""
    clock = Clock()
    async with reading(clock, events=0, environments=1) as reader:
        (environment,) = reader.sandbox.environments
        (first,) = reader.sandbox.emit(environment)
        clock.now_s += 1
        (worst,) = reader.sandbox.emit(environment, hostile=kind)
        clock.now_s += 1
        (last,) = reader.sandbox.emit(environment)
        body = await page_of(reader)
        elements = []
        for event_id in (first, worst, last):
            found = reader.sandbox.world.find(event_id)
            assert found is not None
            elements.append(found[0].event(found[1]))
        # One that claims to be from 1970 stands first, and one from 2099 last.
        place = {"created_1970": 0, "created_2099": 2}.get(kind, 1)
        elements.insert(place, elements.pop(1))
        assert body == b'{"data":[%b]}' % b",".join(elements)
        entries = reader.sandbox.ledger()
        nameless = kind in hostile.NAMELESS
        assert [entry["id"] for entry in entries] == [first, None if nameless else worst, last]
        assert ("sha256" in entries[1]) == nameless


async def test_hostile_forms_are_what_they_say() -> None:
    """The forms break decoders as they are meant to: some at once, some by what they contain."""
    async with reading(events=0, environments=1) as reader:
        (environment,) = reader.sandbox.environments
        broken = set()
        for kind in hostile.KINDS:
            (event_id,) = reader.sandbox.emit(environment, hostile=kind)
            found = reader.sandbox.world.find(event_id)
            assert found is not None
            element = found[0].event(found[1])
            try:
                json.loads(element)
            except (ValueError, RecursionError):
                broken.add(kind)
        # Python's decoder accepts NaN, and what is only too long or alone.
        assert broken == {"deep", "not_utf8", "raw_control", "not_json"}


async def test_share_of_live_events_is_hostile() -> None:
    """Live events take hostile forms at the share that was asked for."""
    clock = Clock()
    async with reading(
        clock,
        events=0,
        rate=10.0,
        environments=1,
        hostile_share=0.5,
        hostile_kinds=["null", "no_id"],
    ) as reader:
        clock.now_s += 20
        rows = json.loads(await page_of(reader))["data"]
        odd = [row for row in rows if row is None or "id" not in row]
        assert 60 < len(odd) < 140
        nameless = [entry for entry in reader.sandbox.ledger() if entry["id"] is None]
        assert len(nameless) == len(odd)


async def test_control_emits_hostile_and_raw_bytes() -> None:
    """Over HTTP, too, an event can be any bytes."""
    async with reading(events=0, environments=1) as reader:
        (environment,) = reader.sandbox.environments
        url = f"{reader.sandbox.control_url}/emit"
        for body in ({"raw": '{"id":"x","é":\x00}'}, {"hostile": "deep"}):
            async with reader.session.post(url, json={"environment": environment, **body}) as done:
                assert done.status == 200
        page = await page_of(reader)
        assert '{"id":"x","é":\x00}'.encode("latin-1") in page
        assert b"[" * hostile.DEPTH in page
        wrong = {"environment": environment, "hostile": "polite"}
        async with reader.session.post(url, json=wrong) as done:
            assert done.status == 404
