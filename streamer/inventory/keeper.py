"""Keeps one shard's inventory current: looks at the account's lists, and publishes what changed.

A pass looks at every list of the shard's environments, and at the users with the first shard. What
somebody else has read meanwhile counts as well. Requests wait for those of the live polls, in the
budget of the client; a list that fails is left as it is until the next pass. If nothing answers, a
pass ends early, and the next one begins where it ended.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from streamer.errors import FlatfileError, FlatfileForbiddenError, FlatfileNotFoundError
from streamer.flatfile.lists import ENVIRONMENTS, USERS
from streamer.flatfile.objects import ListKey
from streamer.inventory.due import Due
from streamer.inventory.table import Change, Table
from streamer.inventory.things import read_thing

if TYPE_CHECKING:
    from streamer.audit.privacy import Privacy
    from streamer.flatfile.lists import Lists
    from streamer.flatfile.objects import Element
    from streamer.inventory.told import Told
    from streamer.telemetry.incidents import Incidents

AT_ONCE: Final = 8
"""Lists that one worker reads at the same time for its inventory."""

FAILURES_AT_MOST: Final = 3
"""Lists in a row that could not be read, after which a pass ends early: nothing answers."""

Publish: TypeAlias = Callable[[str, Sequence[Change]], Awaitable[None]]
"""Commits changes, of an environment (its id) or of the account (an empty id)."""


class _Take(Protocol):
    def __call__(self, elements: Sequence[Element], at: str) -> None: ...


class _Done(Protocol):
    def __call__(self, shown: frozenset[str], *, complete: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the keepers of a worker work with.

    Attributes:
        told: Which objects events have told of.
    """

    lists: Lists
    told: Told
    incidents: Incidents
    privacy: Privacy
    account_id: str
    interval_s: float
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


class Keeper:
    """The inventory of one shard."""

    def __init__(
        self,
        parts: Parts,
        *,
        owns: Callable[[str], bool],
        has_account: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing published.

        Args:
            parts: Shared with other shards.
            owns: Whether an environment belongs to this shard.
            has_account: Whether what belongs to no environment does.
            clock: Monotonic seconds.
        """
        self._parts = parts
        self._owns = owns
        self._has_account = has_account
        self._table = Table(parts.account_id, parts.privacy)
        self._due = Due(parts.interval_s, clock)
        self._listed: frozenset[str] = frozenset()
        self._settled: set[str] = set()
        self._changes: list[Change] = []
        self._failures = 0
        self._begin_with = ""

    def restore(self, key: bytes | None, value: bytes | None) -> None:
        """Take a message that is published, in the order of the topic."""
        if key is not None:
            self._table.restore(key, value)

    async def run(self, publish: Publish) -> None:
        """Make one pass after another, for ever."""
        self._parts.lists.listen(self._listen)
        try:
            while True:
                await self.look(publish)
                await asyncio.sleep(self._parts.interval_s)
        finally:
            self._parts.lists.unlisten(self._listen)

    async def look(self, publish: Publish) -> None:
        """Make one pass."""
        self._failures = 0
        await self._read(ENVIRONMENTS)
        if self._has_account:
            await self._read(USERS)
        await self._publish(publish, "")
        order = self._in_order()
        self._begin_with = ""
        for place, environment_id in enumerate(order):
            await self._look_at(environment_id)
            await self._publish(publish, environment_id)
            if self._failures >= FAILURES_AT_MOST and not self._begin_with:
                # All of the first one was tried; what fails there always must not end each pass.
                self._begin_with = order[max(place, 1) % len(order)]

    def _in_order(self) -> list[str]:
        """The shard's environments, from the one that the last pass ended at."""
        ours = sorted(filter(self._owns, self._listed | self._table.environments))
        begin = bisect_left(ours, self._begin_with)
        return ours[begin:] + ours[:begin]

    async def _look_at(self, environment_id: str) -> None:
        spaces = ListKey("space", environment_id)
        await self._read(spaces)
        await self._read(ListKey("agent", environment_id))
        guests = [ListKey("guest", space_id) for space_id in self._table.shown_in(spaces)]
        async with asyncio.TaskGroup() as group:
            for which in guests:
                if self._is_due(which):
                    group.create_task(self._read(which), name=f"guests of {which.within}")
        have_all = all(self._due.looked_at(which) is not None for which in (spaces, *guests))
        if have_all and environment_id not in self._settled:
            self._settled.add(environment_id)
            for which in self._table.unknown_spaces(environment_id):
                self._changes += self._table.close(which)

    async def _read(self, which: ListKey) -> None:
        """Have a list read if it is due; `_Look` takes what is in it."""
        if not self._is_due(which) or self._failures >= FAILURES_AT_MOST:
            return
        try:
            async with self._parts.at_once:
                await self._parts.lists.read(which, self._listen)
        except FlatfileError as error:
            self._failed(which, error)
        else:
            self._failures = 0

    def _is_due(self, which: ListKey) -> bool:
        since = self._due.looked_at(which)
        return self._due.is_due(which) or self._parts.told.has_changed(which, since or 0.0)

    def _failed(self, which: ListKey, error: FlatfileError) -> None:
        if error.retriable:
            self._failures += 1
        elif which.kind == "guest" and isinstance(
            error, FlatfileNotFoundError | FlatfileForbiddenError
        ):
            self._due.looked(which)  # Not before an hour has passed.
        if isinstance(error, FlatfileNotFoundError) and which.kind in ("agent", "space"):
            if which.within not in self._listed:
                # The environment is gone, and what was in it with it.
                self._done(which, frozenset(), complete=True)
            return
        self._parts.incidents.inventory_failed(which.kind, error.what)

    def _listen(self, which: ListKey) -> _Look | None:
        if not self._is_ours(which):
            return None
        environment_id = which.within
        if which.kind == "guest":
            environment_id = self._table.environment_of("space", which.within or "")
        return _Look(partial(self._take, which, environment_id), partial(self._done, which))

    def _is_ours(self, which: ListKey) -> bool:
        match which.kind:
            case "environment":
                return True
            case "user":
                return self._has_account
            case "agent" | "space":
                return self._owns(which.within or "")
            case "guest":
                return self._table.has("space", which.within or "")

    def _take(
        self,
        which: ListKey,
        environment_id: str | None,
        elements: Sequence[Element],
        at: str,
    ) -> None:
        """Take a page of a list, read at `at`."""
        since = self._due.looked_at(which)
        for element in elements:
            is_foreign = which.kind == "environment" and not self._owns(element.id)
            if is_foreign or self._table.has_as(which, element):
                continue
            thing = read_thing(
                which.kind, element, self._parts.privacy, environment_id=environment_id
            )
            if thing is None:
                continue
            observed_only = (
                None if since is None else not self._parts.told.has_told_of(which, thing.id, since)
            )
            change = self._table.take(which, thing, at, observed_only=observed_only)
            if change is not None:
                self._changes.append(change)
                if which.kind == "space":
                    self._due.again(ListKey("guest", thing.id))

    def _done(self, which: ListKey, shown: frozenset[str], *, complete: bool) -> None:
        """Know that a list was read to its end."""
        is_apart = self._due.is_apart(which)
        self._due.looked(which)
        if which == ENVIRONMENTS:
            self._listed = shown if complete else self._listed | shown
        if not complete:
            return
        for change in self._table.end(which, shown, is_apart=is_apart):
            self._changes.append(change)
            if change.kind == "space":
                guests = ListKey("guest", change.key.decode().partition("/")[2])
                self._changes += self._table.close(guests)
                self._due.forget(guests)
        if which.kind == "guest" and self._table.is_doubtful(which):
            self._due.again(which)

    async def _publish(self, publish: Publish, environment_id: str) -> None:
        changes, self._changes = self._changes, []
        if changes:
            await publish(environment_id, changes)
            self._parts.incidents.inventory_changed(
                [(change.kind, change.what) for change in changes]
            )


class _Look:
    """One look at one list."""

    def __init__(self, take: _Take, done: _Done) -> None:
        self._take = take
        self._done = done
        self._shown: set[str] = set()
        now = datetime.now(UTC)
        self._at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def take(self, elements: Sequence[Element]) -> None:
        """Take what a page shows."""
        self._shown.update(element.id for element in elements)
        self._take(elements, self._at)

    def done(self, *, complete: bool) -> None:
        """Take note of what it does not show."""
        self._done(frozenset(self._shown), complete=complete)
