"""The account as a whole: what exists, what a listing shows now, and what is done to it.

All state of a sandbox but its sockets. Time is handed in as a function, so that a test can let it
run as it likes. Nothing here waits: whoever asks first lets everything happen that has become due.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.sandbox.blocks import BlockCache, stamp_ms
from streamer.sandbox.dice import dice, place_of
from streamer.sandbox.founding import add_object, build_account, build_environment
from streamer.sandbox.hostile import TIMES
from streamer.sandbox.ledger import Ledger
from streamer.sandbox.life import Life
from streamer.sandbox.plan import shares, split
from streamer.sandbox.templates import ALIVE, TemplatePool, pool_size
from streamer.sandbox.timeline import Backlog, Timeline, identity_of, members_of
from streamer.sandbox.views import EventQuery, ListedView, MergedView, StretchView, View

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamer.sandbox.account import Environment
    from streamer.sandbox.options import SandboxOptions

VIEWS_KEPT: Final = 64
"""How many listings that took work to make are kept, in case their next page is asked for."""


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
        self._until = options.until or datetime.fromtimestamp(clock(), UTC)
        self.account = build_account(options, self._until)
        self._cache = BlockCache(1 << 62 if options.pre_encode else options.cache_bytes)
        self._pool_size = pool_size(options.environments)
        self._timelines: list[Timeline] = []
        self._pools: list[TemplatePool] = []
        self._views: OrderedDict[EventQuery, tuple[int, View]] = OrderedDict()
        parts = shares(options.environments, equal=options.equal_shares)
        backlogs = split(options.events, parts)
        for environment, backlog in zip(self.account.environments.values(), backlogs, strict=True):
            self._add_timeline(environment, backlog)
        self._life = Life(options, self._timelines, self.now_ms())

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
        self._advance()
        self.options = self.options.changed(changes)
        self._cache.limit_bytes = max(self._cache.limit_bytes, self.options.cache_bytes)
        self._views.clear()
        self._life.change(self.options, self.now_ms())

    def emit(
        self,
        environment_id: str,
        topic: str | None = None,
        *,
        count: int = 1,
        visible_in_s: float = 0.0,
        raw: bytes | None = None,
        hostile: str | None = None,
        **overrides: Any,  # noqa: ANN401 - members of an event, of any kind on purpose
    ) -> list[str]:
        """Let events happen now.

        Args:
            environment_id: Where.
            topic: Any text; drawn by the catalog's frequencies if not given.
            count: How many, all with the same `createdAt`.
            visible_in_s: How much later than now they become visible.
            raw: Bytes that stand in the listing in place of an event, whatever they are.
            hostile: The name of a hostile form (`hostile.KINDS`).
            overrides: Members of the event to replace. `context` is merged into the generated one,
                and a member that is None is taken out of it.

        Returns:
            The ids of the events; of raw ones the ids that they would have had.

        Raises:
            KeyError: No environment has this id, or no hostile form has this name.
        """
        self._advance()
        timeline = self._timelines[self.account.environments[environment_id].number]
        now_ms = self.now_ms()
        created_ms = _parsed_ms(overrides.get("createdAt"))
        if created_ms is None:
            created_ms = TIMES.get(hostile or "", now_ms)
        ids: list[str] = []
        for _ in range(count):
            index = timeline.append(created_ms)
            ids.append(timeline.event_id(index))
            if raw is not None:
                timeline.write_raw(index, raw, identity_of(members_of(raw)))
            elif hostile is not None:
                self._life.corrupt(timeline, index, hostile)
            elif topic is not None or overrides:
                self._write(timeline, index, topic, overrides)
            visible_ms = now_ms + visible_in_s * 1000
            self._life.appear(timeline, index, created_ms, visible_ms, now_ms)
        return ids

    def rewrite(self, event_id: str, changes: dict[str, Any]) -> bool:
        """Change members of an event, such as `deletedAt`; False if it cannot be done."""
        found = self._find(event_id)
        self._life.version += 1
        return found is not None and found[0].rewrite(found[1], changes)

    def remove(self, event_id: str) -> bool:
        """Let an event vanish from every listing, as expired ones do; False if it is not there."""
        found = self._find(event_id)
        return found is not None and self._life.vanish(*found)

    def find(self, event_id: str) -> tuple[Timeline, int] | None:
        """Return the timeline and the index of a visible event."""
        self._advance()
        found = self._find(event_id)
        return found if found and self._life.is_visible(*found) else None

    def view(self, query: EventQuery) -> View:
        """Return what a listing shows now.

        Raises:
            KeyError: No environment has this id.
        """
        self._advance()
        reading = self.options.reading
        key = replace(query, size=0, number=0)
        version, kept = self._views.get(key, (-1, None))
        follows = reading.stable_pages and query.number > 1
        fresh = version == self._life.version and not reading.expire_after_s
        if kept is not None and (follows or (fresh and not reading.stable_pages)):
            return kept
        bound_ms = reading.bound_ms(query.since_ms)
        if reading.expire_after_s:
            bound_ms = max(bound_ms, self.now_ms() - int(reading.expire_after_s * 1000))
        view = self._in_time(query, bound_ms)
        if query.has_filters or reading.stable_pages or reading.order == "shuffled":
            view = ListedView.of(view, query, shuffled=reading.order == "shuffled")
            self._views[key] = (self._life.version, view)
            while len(self._views) > VIEWS_KEPT:
                self._views.popitem(last=False)
        return view

    def add_object(self, kind: str, environment_id: str | None) -> dict[str, Any]:
        """Make a user, or an agent, guest or space of an environment, and return its body.

        Raises:
            KeyError: There is no such environment.
            ValueError: There is no such kind.
        """
        place = None if environment_id is None else self.account.environments[environment_id]
        until = datetime.fromtimestamp(self._clock(), UTC)
        return add_object(self.options, self.account, kind, place, until)

    def add_environment(self, name: str | None = None) -> Environment:
        """Add an environment without a backlog."""
        self._advance()
        number = len(self._timelines)
        environment = build_environment(self.options, self.account, number, self._until, name)
        self.account.environments[environment.id] = environment
        self._add_timeline(environment, backlog=0)
        self._life.change(self.options, self.now_ms())
        return environment

    def _advance(self) -> None:
        self._life.advance(self.now_ms())

    def _find(self, event_id: str) -> tuple[Timeline, int] | None:
        try:
            number = int(event_id.removeprefix("us_evt_"), 16)
        except ValueError:
            return None
        environment, index = place_of(self.options.seed, number)
        if environment >= len(self._timelines) or index >= len(self._timelines[environment]):
            return None
        return self._timelines[environment], index

    def _in_time(self, query: EventQuery, bound_ms: int) -> View:
        newest_first = self.options.reading.order == "newest"
        if query.environment_id is not None:
            number = self.account.environments[query.environment_id].number
            return StretchView(self._timelines[number], bound_ms, newest_first=newest_first)
        seen = [
            self._timelines[environment.number]
            for environment in self.account.environments.values()
            if not (environment.gone or environment.forbidden)
        ]
        return MergedView(seen, bound_ms, newest_first=newest_first)

    def _add_timeline(self, environment: Environment, backlog: int) -> None:
        pool = TemplatePool(
            seed=self.options.seed,
            account=self.account,
            environment=environment,
            size=self._pool_size,
            event_bytes=self.options.event_bytes,
        )
        span_ms = int(self.options.days * 86_400_000)
        before = Backlog(backlog, int(self._until.timestamp() * 1000) - span_ms, span_ms)
        self._pools.append(pool)
        self._timelines.append(Timeline(pool, self._cache, before))

    def _write(
        self, timeline: Timeline, index: int, topic: str | None, overrides: dict[str, Any]
    ) -> None:
        element = timeline.event(index)
        if topic is not None:
            chance = dice(self.options.seed, "emitted", timeline.number, index)
            element = (
                self._pools[timeline.number]
                .make(topic, chance)
                .render(
                    timeline.event_id(index).encode(),
                    stamp_ms(timeline.created_ms(index)),
                    ALIVE,
                    b"%016x" % chance.getrandbits(64),
                )
            )
        event: dict[str, Any] = orjson.loads(element)
        context = overrides.get("context", {})
        if isinstance(context, dict):
            merged = event["context"] | context
            context = {member: value for member, value in merged.items() if value is not None}
        timeline.write(index, event | overrides | {"context": context})


def _parsed_ms(created_at: object) -> int | None:
    """Return where in time an event stands; None if its `createdAt` does not say."""
    if not isinstance(created_at, str):
        return None
    try:
        at = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)
