"""The account as it lives: what exists, what happens, and what a listing shows right now.

All state of a sandbox but its sockets. Time is handed in as a function, so that a test can let it
run as it likes. Nothing here waits: whoever asks first lets everything happen that has become due.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from streamer.sandbox.account import Environment, build_account, build_environment
from streamer.sandbox.dice import dice, place_of
from streamer.sandbox.ledger import Ledger
from streamer.sandbox.plan import LivePlan, shares, split
from streamer.sandbox.templates import ALIVE, TemplatePool, pool_size
from streamer.sandbox.timeline import Backlog, BlockCache, Timeline, stamp_ms
from streamer.sandbox.views import EventQuery, MergedView, StretchView, View, matching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamer.sandbox.options import SandboxOptions


class World:
    """A living account.

    Attributes:
        options: As they are now; changed through `change`.
        account: People, environments and spaces.
        ledger: What was shown.
    """

    def __init__(self, options: SandboxOptions, clock: Callable[[], float]) -> None:
        self.options = options
        self.ledger = Ledger()
        self._clock = clock
        until = options.until or datetime.fromtimestamp(clock(), UTC)
        self._until = until
        self.account = build_account(options, until)
        self._cache = BlockCache(1 << 62 if options.pre_encode else options.cache_bytes)
        self._pool_size = pool_size(options.environments)
        self._timelines: list[Timeline] = []
        self._pools: list[TemplatePool] = []
        self._late: list[tuple[float, int, int, int]] = []
        self._unseen: set[tuple[int, int]] = set()
        self._version = 0
        self._filtered: tuple[EventQuery, int, View] | None = None
        parts = shares(options.environments, equal=options.equal_shares)
        backlogs = split(options.events, parts)
        for environment, backlog in zip(self.account.environments.values(), backlogs, strict=True):
            self._add_timeline(environment, backlog)
        self._plan = LivePlan(seed=options.seed, start_ms=self.now_ms())
        self._replan()

    def now_ms(self) -> int:
        """Return the time, in milliseconds since 1970."""
        return int(self._clock() * 1000)

    def encode_backlog(self) -> None:
        """Encode everything that can be encoded before anyone asks."""
        for timeline in self._timelines:
            timeline.encode_backlog()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Take other options from now on.

        Raises:
            SettingsError: One of them is not known, or cannot change any more.
        """
        self.advance()
        self.options = self.options.changed(changes)
        self._cache.limit_bytes = max(self._cache.limit_bytes, self.options.cache_bytes)
        self._version += 1
        self._replan()

    def advance(self) -> None:
        """Let everything happen that has become due."""
        now_ms = self.now_ms()
        for created_ms, place, _ in self._plan.due(now_ms):
            timeline = self._timelines[place]
            timeline.order.add(created_ms, timeline.append(created_ms))
            self._version += 1
        while self._late and self._late[0][0] <= now_ms:
            _, number, created_ms, index = heapq.heappop(self._late)
            self._unseen.discard((number, index))
            self._timelines[number].order.add(created_ms, index)
            self._version += 1

    def emit(
        self,
        environment_id: str,
        topic: str | None = None,
        *,
        count: int = 1,
        visible_in_s: float = 0.0,
        raw: bytes | None = None,
        **overrides: Any,  # noqa: ANN401 - members of an event, of any kind on purpose
    ) -> list[str]:
        """Let events happen now.

        Args:
            environment_id: Where.
            topic: Any text; drawn by the catalog's frequencies if not given.
            count: How many, all with the same `createdAt`.
            visible_in_s: How much later than now they become visible.
            raw: Bytes that stand in the listing in place of an event, whatever they are.
            overrides: Members of the event to replace. `context` is merged into the generated one,
                and a member that is None is taken out of it.

        Returns:
            The ids of the events; of raw ones the ids that they would have had.

        Raises:
            KeyError: No environment has this id.
        """
        self.advance()
        timeline = self._timelines[self.account.environments[environment_id].number]
        now_ms = self.now_ms()
        created_ms = _parsed_ms(overrides.get("createdAt")) or now_ms
        ids: list[str] = []
        for _ in range(count):
            index = timeline.append(created_ms)
            if raw is not None:
                timeline.write(index, raw)
            elif topic is not None or overrides:
                self._write(timeline, index, topic, overrides)
            ids.append(timeline.event_id(index))
            if visible_in_s > 0:
                late_ms = now_ms + visible_in_s * 1000
                heapq.heappush(self._late, (late_ms, timeline.number, created_ms, index))
                self._unseen.add((timeline.number, index))
            else:
                timeline.order.add(created_ms, index)
        self._version += 1
        return ids

    def rewrite(self, event_id: str, changes: dict[str, Any]) -> bool:
        """Change members of an event, such as `deletedAt`; False if it does not exist."""
        found = self.find(event_id)
        if found is None:
            return False
        timeline, index = found
        timeline.rewrite(index, changes)
        self._version += 1
        return True

    def remove(self, event_id: str) -> bool:
        """Let an event vanish from every listing, as expired ones do; False if it is not there."""
        found = self.find(event_id)
        if found is None:
            return False
        timeline, index = found
        self._version += 1
        self._unseen.add((timeline.number, index))
        return timeline.order.remove(index, timeline.created_ms(index))

    def find(self, event_id: str) -> tuple[Timeline, int] | None:
        """Return the timeline and the index of an event by the id that the sandbox gave it."""
        try:
            number = int(event_id.removeprefix("us_evt_"), 16)
        except ValueError:
            return None
        environment, index = place_of(self.options.seed, number)
        if environment >= len(self._timelines) or index >= len(self._timelines[environment]):
            return None
        return self._timelines[environment], index

    def is_visible(self, timeline: Timeline, index: int) -> bool:
        """Tell whether an event is shown: it is not while it is late, nor once it was removed."""
        return (timeline.number, index) not in self._unseen

    def view(self, query: EventQuery) -> View:
        """Return what a listing shows now.

        Raises:
            KeyError: No environment has this id.
        """
        self.advance()
        bound_ms = -(1 << 60) if query.since_ms is None else query.since_ms
        key = replace(query, size=0, number=0)
        if self._filtered and self._filtered[:2] == (key, self._version):
            return self._filtered[2]
        if query.environment_id is not None:
            number = self.account.environments[query.environment_id].number
            view: View = StretchView(self._timelines[number], bound_ms, newest_first=False)
        else:
            seen = [
                self._timelines[environment.number]
                for environment in self.account.environments.values()
                if not (environment.gone or environment.forbidden)
            ]
            view = MergedView(seen, bound_ms, newest_first=False)
        if query.has_filters:
            view = matching(view, query)
            self._filtered = (key, self._version, view)
        return view

    def add_environment(self, name: str | None = None) -> Environment:
        """Add an environment without a backlog."""
        self.advance()
        number = len(self._timelines)
        environment = build_environment(self.options, self.account, number, self._until, name)
        self.account.environments[environment.id] = environment
        self._add_timeline(environment, backlog=0)
        self._replan()
        return environment

    def _add_timeline(self, environment: Environment, backlog: int) -> None:
        options = self.options
        pool = TemplatePool(
            seed=options.seed,
            account=self.account,
            environment=environment,
            size=self._pool_size,
            event_bytes=options.event_bytes,
        )
        span_ms = int(options.days * 86_400_000)
        timeline = Timeline(
            pool,
            self._cache,
            Backlog(backlog, int(self._until.timestamp() * 1000) - span_ms, span_ms),
        )
        self._pools.append(pool)
        self._timelines.append(timeline)

    def _replan(self) -> None:
        active = self.options.active or len(self._timelines)
        parts = shares(active, equal=self.options.equal_shares)
        self._plan.change(self.now_ms(), self.options.rate, parts)

    def _write(
        self, timeline: Timeline, index: int, topic: str | None, overrides: dict[str, Any]
    ) -> None:
        event: dict[str, Any] = orjson.loads(timeline.event(index))
        if topic is not None:
            chance = dice(self.options.seed, "emitted", timeline.number, index)
            template = self._pools[timeline.number].make(topic, chance)
            stirred = b"%016x" % chance.getrandbits(64)
            created_at = stamp_ms(timeline.created_ms(index))
            event_id = timeline.event_id(index).encode()
            event = orjson.loads(template.render(event_id, created_at, ALIVE, stirred))
        context = {**event["context"], **(overrides.get("context") or {})}
        event |= overrides
        if overrides.get("context", True) is not None:
            event["context"] = {
                member: value for member, value in context.items() if value is not None
            }
        timeline.write(
            index, orjson.dumps(event), acknowledged=event.get("acknowledgedAt") is not None
        )
        if event.get("deletedAt") is not None:
            timeline.deleted[index] = str(event["deletedAt"])


def _parsed_ms(created_at: object) -> int | None:
    """Return where in time an event stands; None if its `createdAt` does not say."""
    if not isinstance(created_at, str):
        return None
    try:
        at = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)
