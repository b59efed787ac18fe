"""What the sandbox's events look like, and that they are the same for the same seed."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from streamer.sandbox.catalog import TOPICS, is_by_nobody
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.views import EventQuery
from streamer.sandbox.world import World

UNTIL = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
SECRET_KEYS = {"accessToken", "guestLink", "apiKey", "authorization", "value", "callbackUrl"}


def world_of(**options: Any) -> World:  # noqa: ANN401 - as SandboxOptions
    """Return a world whose clock stands still."""
    return World(SandboxOptions(until=UNTIL, **options), UNTIL.timestamp)


def events_of(world: World) -> list[bytes]:
    """Return all events of all environments, environment by environment."""
    events: list[bytes] = []
    for environment_id in world.account.environments:
        query = EventQuery(1, 1, environment_id=environment_id, include_acknowledged=True)
        view = world.view(query)
        for timeline, runs in view.rows(0, len(view)):
            events.extend(timeline.event(index) for run in runs for index in run)
    return events


def test_same_seed_shows_same_bytes() -> None:
    """Two sandboxes of one seed show the same bytes, and two of different seeds do not."""
    first, again = world_of(seed=7, events=500), world_of(seed=7, events=500)
    other = world_of(seed=8, events=500)
    assert events_of(first) == events_of(again)
    assert [e.body for e in first.account.environments.values()] == [
        e.body for e in again.account.environments.values()
    ]
    assert set(events_of(first)).isdisjoint(events_of(other))


def test_every_documented_topic_occurs() -> None:
    """All 82 documented topics are there, none so rare that 20,000 events lack it."""
    assert len(TOPICS) == len(set(TOPICS)) == 82
    seen = Counter(json.loads(event)["topic"] for event in events_of(world_of(events=20_000)))
    assert set(seen) == set(TOPICS)
    assert seen["records:updated"] > 10 * seen["environment:deleted"]


def test_sizes_are_those_of_real_events() -> None:
    """Events have 0.3 to 5 KB and about 1.1 KB on average, or what was asked for."""
    sizes = [len(event) for event in events_of(world_of(events=5000))]
    assert min(sizes) >= 300
    assert max(sizes) <= 5400
    assert 1000 <= statistics.mean(sizes) <= 1200
    fixed = [len(event) for event in events_of(world_of(events=5000, event_bytes=1100))]
    assert 1080 <= statistics.mean(fixed) <= 1120


def test_actors_are_of_every_kind() -> None:
    """Users, guests, agents, keys, access tokens and nobody act; nobody where nobody can."""
    kinds: Counter[str] = Counter()
    for event in map(json.loads, events_of(world_of(events=5000))):
        actor = event["context"].get("actorId")
        kinds["none" if actor is None else actor.split("_")[1]] += 1
        assert actor is None or not is_by_nobody(event["topic"])
    assert set(kinds) == {"usr", "g", "ag", "key", "pat", "none"}
    assert min(kinds.values()) > 50


def test_every_credential_is_marked() -> None:
    """Whatever is a credential contains PLANTED, wherever it stands."""
    world = world_of(events=20_000)
    bodies = [json.loads(event) for event in events_of(world)]
    for environment in world.account.environments.values():
        bodies += [space.body for space in environment.spaces]
    found: Counter[str] = Counter()

    def look(value: object) -> None:
        if isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                look(item)
                if key in SECRET_KEYS and item:
                    found[key] += 1
                    assert "PLANTED" in item, (key, item)

    look(bodies)
    assert set(found) == SECRET_KEYS


def test_times_rise_within_the_asked_days() -> None:
    """The backlog lies within its days, oldest first, in milliseconds."""
    for environment_events in (events_of(world_of(events=3000, days=2, environments=1)),):
        times = [json.loads(event)["createdAt"] for event in environment_events]
        assert times == sorted(times)
        assert times[0] >= "2026-01-03T09:30:00.000Z"
        assert times[-1] < "2026-01-05T09:30:00.000Z"
        assert len(environment_events) == 3000


def test_live_events_follow_the_rate() -> None:
    """An hour at two events a second brings 7,200 of them, each at its time and to all places."""
    now = [UNTIL.timestamp()]
    options = SandboxOptions(until=UNTIL, events=0, rate=2.0, equal_shares=True)
    world = World(options, lambda: now[0])
    now[0] += 3600
    counts = []
    for environment_id in world.account.environments:
        query = EventQuery(1, 1, environment_id=environment_id, include_acknowledged=True)
        counts.append(len(world.view(query)))
    assert sum(counts) in {7199, 7200}
    assert min(counts) > 2200
