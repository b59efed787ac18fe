"""Ids -> names, from a cache that fills itself.

A page of events names a few ids many times. What is cached is answered at once. What is not is
looked for in the list that holds it (all users; the guests of the space; the agents or spaces of
the environment), which answers for its neighbours too; what the list does not show is asked for
alone. However many wait for one answer, it is asked for once.

Nobody waits longer than `wait_s`: whoever has no name by then goes on without, the look-up goes on
as well, and a later page has its answer. Once the API has kept a page waiting in vain, or could not
be reached, no page waits until it has answered again: a few look-ups every `FAILED_S` try that.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self

import structlog
from cachetools import LRUCache, TLRUCache

from streamer.audit.names import Named, Resolution
from streamer.errors import FlatfileError, FlatfileNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from streamer.audit.names import Names
    from streamer.audit.normalize import Draft
    from streamer.flatfile.models import Agent, Guest, Space, User

log = structlog.get_logger()

Kind = Literal["user", "guest", "agent", "space"]

LIFETIME_S: Final = 300.0
"""How old a name may be: after that a page waits for the new one, so that a user who is renamed at
Flatfile is renamed in records after at most this time."""

REFRESH_S: Final = 240.0
"""How old a name or a list is when its next use has it read anew, with nobody waiting for it."""

KEPT_S: Final = 86_400.0
"""How old a name may be and still be used, while Flatfile does not answer."""

GONE_S: Final = 60.0
"""How long "does not exist" is believed."""

FAILED_S: Final = 5.0
"""How long a failed look-up is not repeated, of a name or of a list."""

ENTRIES: Final = 150_000
"""Names that are held; the least recently used leave first. About 0.3 KB each."""

LISTS: Final = 20_000
"""Lists (one an environment or space) whose age is remembered."""

LIST_MARGIN_S: Final = 60.0
"""An id that is in no list read at least this long after its event is taken for gone; a younger one
is asked for alone."""

AT_ONCE: Final = 8
"""Look-ups that run at the same time, and that try whether an API answers again."""

UNDER_WAY: Final = 5_000
"""Look-ups that run or wait for their turn; what is wanted beyond is left to a later page."""

_PREFIX: Final = re.compile(r"[a-z]{2,4}_([a-z]+)_")
_KINDS: Final[dict[str, Kind]] = {"usr": "user", "g": "guest", "ag": "agent", "sp": "space"}


class Wanted(NamedTuple):
    """An id that a name is wanted for, and where it is listed.

    Attributes:
        within: Of a guest its space, of an agent or a space its environment; None if not known.
    """

    kind: Kind
    id: str
    within: str | None = None


class Lists(Protocol):
    """What the directory asks the API for. Each call raises `FlatfileError`, `…NotFoundError`."""

    async def users(self) -> Sequence[User]:
        """All users of the account."""

    async def guests(self, space_id: str) -> Sequence[Guest]:
        """All guests of a space."""

    async def agents(self, environment_id: str) -> Sequence[Agent]:
        """All agents of an environment."""

    async def spaces(self, environment_id: str, *, archived: bool | None = None) -> Sequence[Space]:
        """All spaces of an environment; the archived ones alone, or as the API has it."""

    async def user(self, user_id: str) -> User:
        """One user."""

    async def guest(self, guest_id: str) -> Guest:
        """One guest."""

    async def agent(self, agent_id: str, environment_id: str) -> Agent:
        """One agent."""

    async def space(self, space_id: str) -> Space:
        """One space."""


@dataclass(frozen=True, slots=True)
class _Entry:
    named: Named
    refreshed_at: float
    """When its next use has it read anew."""
    old_at: float
    """When it is used only if there is nothing newer within `wait_s`."""
    kept_until: float


class Directory:
    """The names of one account. Use it as an asynchronous context manager."""

    def __init__(
        self,
        lists: Lists,
        *,
        wait_s: float,
        on_lookup: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing.

        Args:
            lists: The API.
            wait_s: How long one page waits for names.
            on_lookup: Told of every look-up that was made: its kind, and its outcome.
            clock: Monotonic seconds.
        """
        self._lists = lists
        self._wait_s = wait_s
        self._on_lookup = on_lookup
        self._clock = clock
        self._entries: TLRUCache[str, _Entry] = TLRUCache(
            ENTRIES, ttu=lambda _, entry, __: entry.kept_until, timer=clock
        )
        # When each list is read next, and when it was last read whole.
        self._list_due: LRUCache[tuple[Kind, str | None], float] = LRUCache(LISTS)
        self._complete: LRUCache[tuple[Kind, str | None], float] = LRUCache(LISTS)
        self._running: dict[object, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._answers = 0
        self._is_answering = True
        self._tried_again_at = 0.0
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._tasks)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running.values():
            task.cancel()
        await self._stack.aclose()

    async def names_for(
        self, drafts: Sequence[Draft], environment_id: str, *, age_s: float
    ) -> Names:
        """Find the names that the records of one environment's drafts want.

        Args:
            drafts: Of one capture.
            environment_id: Where they happened.
            age_s: How long ago the newest of them happened, by the server's clock.
        """
        wanted: dict[str, Wanted] = {}
        actors = {(draft.actor_id, draft.space_id) for draft in drafts}
        # Those with a space first: a guest who acted outside of one as well is in a space's list.
        for id_, space_id in sorted(actors, key=lambda actor: actor[1] is None):
            _want(wanted, id_, space_id, environment_id)
            _want(wanted, space_id, space_id, environment_id)
        for draft in drafts:
            if draft.target.looked_up:
                _want(wanted, draft.target.id, draft.space_id, environment_id)
        return await self.names(wanted.values(), age_s=age_s)

    async def names(self, wanted: Iterable[Wanted], *, age_s: float = 0.0) -> Names:
        """Find the names of these ids, as far as they can be had within `wait_s`."""
        found: dict[str, Named] = {}
        old: list[Wanted] = []
        refreshed: list[Wanted] = []
        now = self._clock()
        for want in wanted:
            entry = self._entries.get(want.id)
            found[want.id] = Named(id=want.id) if entry is None else entry.named
            if entry is None or entry.old_at <= now:
                old.append(want)
            elif entry.refreshed_at <= now:
                refreshed.append(want)
        tasks = self._start(old, age_s)
        _ = self._start(refreshed, age_s)
        if tasks and self._is_answering:
            await self._wait_for(tasks)
            for want in old:
                entry = self._entries.get(want.id)
                if entry is not None:
                    found[want.id] = entry.named
        return found

    def _start(self, wanted: list[Wanted], age_s: float) -> set[asyncio.Task[None]]:
        """Start what will bring these names, as much as makes sense now."""
        if wanted and not self._is_answering:
            if self._clock() < self._tried_again_at:
                return set()
            self._tried_again_at = self._clock() + FAILED_S
            # Not the same ones each time: one of them may be what the API cannot answer.
            wanted = random.sample(wanted, min(AT_ONCE, len(wanted)))
        return {
            self._once(want.id, partial(self._find, want, age_s))
            for want in wanted
            if want.id in self._running or len(self._running) < UNDER_WAY
        }

    async def _wait_for(self, tasks: set[asyncio.Task[None]]) -> None:
        answers = self._answers
        _, running = await asyncio.wait(tasks, timeout=self._wait_s)
        if running and self._answers == answers:
            self._is_silent()

    def _is_silent(self) -> None:
        """Let nobody wait until there is an answer."""
        if self._is_answering:
            self._is_answering = False
            self._tried_again_at = self._clock() + FAILED_S

    def _has_answered(self) -> None:
        self._answers += 1
        self._is_answering = True

    def _once(
        self, key: object, start: Callable[[], Coroutine[None, None, None]]
    ) -> asyncio.Task[None]:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = self._tasks.create_task(start(), name=f"look up {key}")
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def _find(self, want: Wanted, age_s: float) -> None:
        began = self._clock()
        listed_in = (want.kind, want.within)
        if self._is_listed(want):
            if began >= self._list_due.get(listed_in, float("-inf")):
                await self._once(listed_in, partial(self._read_list, *listed_in))
                entry = self._entries.get(want.id)
                if entry is not None and self._clock() < entry.refreshed_at:
                    return
            read = self._complete.get(listed_in, float("-inf"))
            if began - read + LIST_MARGIN_S < age_s:
                # It existed before the list was read, and the list does not show it.
                self._on_lookup(want.kind, "not_found")
                self._keep(_named(want.id, resolution="not_found"), GONE_S)
                return
        await self._ask(want)

    def _is_listed(self, want: Wanted) -> bool:
        return want.kind == "user" or want.within is not None

    async def _read_list(self, kind: Kind, within: str | None) -> None:
        try:
            async with self._at_once:
                listed = await self._list(kind, within)
        except FlatfileError as error:
            # Its members are then asked for alone, not the list each time.
            self._list_due[kind, within] = self._clock() + (
                FAILED_S if error.retriable else REFRESH_S
            )
            self._failed(f"{kind}s", error)
            return
        self._has_answered()
        self._on_lookup(f"{kind}s", "found")
        self._list_due[kind, within] = self._clock() + REFRESH_S
        if kind != "guest":
            # A guest who left this space may still be one of others.
            self._complete[kind, within] = self._clock()
        for named in listed:
            self._keep(named, KEPT_S)

    async def _ask(self, want: Wanted) -> None:
        try:
            async with self._at_once:
                named = await self._single(want)
        except FlatfileNotFoundError:
            self._has_answered()
            self._on_lookup(want.kind, "not_found")
            self._keep(_named(want.id, resolution="not_found"), GONE_S)
        except FlatfileError as error:
            self._failed(want.kind, error)
            now = self._clock()
            entry = self._entries.get(want.id)
            if entry is None:
                self._keep(Named(id=want.id), FAILED_S)
            else:
                # An old name is better than none.
                again_at = now + FAILED_S
                self._entries[want.id] = replace(entry, refreshed_at=again_at, old_at=again_at)
        else:
            self._has_answered()
            self._on_lookup(want.kind, "found")
            self._keep(named, KEPT_S)

    def _failed(self, what: str, error: FlatfileError) -> None:
        self._on_lookup(what, "failed")
        log.debug("enrichment.look_up_failed", kind=what, reason=error.what)
        if error.retriable:
            self._is_silent()

    def _keep(self, named: Named, kept_s: float) -> None:
        now = self._clock()
        if self._entries.currsize >= ENTRIES and named.id not in self._entries:
            # Somebody leaves for it: that an id is not held no longer means that no list shows it.
            self._complete.clear()
        self._entries[named.id] = _Entry(named, now + REFRESH_S, now + LIFETIME_S, now + kept_s)

    async def _list(self, kind: Kind, within: str | None) -> list[Named]:
        match kind:
            case "user":
                return [_person(user) for user in await self._lists.users()]
            case "guest":
                return [_person(guest) for guest in await self._lists.guests(within or "")]
            case "agent":
                return [_agent(agent) for agent in await self._lists.agents(within or "")]
            case "space":
                listed = [
                    *await self._lists.spaces(within or ""),
                    *await self._lists.spaces(within or "", archived=True),
                ]
                return [_space(space) for space in listed]

    async def _single(self, want: Wanted) -> Named:
        match want.kind:
            case "user":
                return _person(await self._lists.user(want.id))
            case "guest":
                return _person(await self._lists.guest(want.id))
            case "agent":
                return _agent(await self._lists.agent(want.id, want.within or ""))
            case "space":
                return _space(await self._lists.space(want.id))


def kind_of(id_: str) -> Kind | None:
    """What an id names, by its prefix in any region; None if it has no name to look up."""
    found = _PREFIX.match(id_)
    return None if found is None else _KINDS.get(found[1])


def _want(
    wanted: dict[str, Wanted], id_: str | None, space_id: str | None, environment_id: str
) -> None:
    """Add an id whose name can be looked up."""
    if id_ is None or id_ in wanted:
        return
    kind = kind_of(id_)
    if kind == "user":
        wanted[id_] = Wanted(kind, id_)
    elif kind is not None:
        wanted[id_] = Wanted(kind, id_, space_id if kind == "guest" else environment_id)


def _person(person: User | Guest) -> Named:
    return _named(person.id, name=person.name, email=person.email)


def _agent(agent: Agent) -> Named:
    return _named(agent.id, name=agent.slug)


def _space(space: Space) -> Named:
    return _named(space.id, name=space.name)


def _named(
    id_: str,
    *,
    name: str | None = None,
    email: str | None = None,
    resolution: Resolution = "resolved",
) -> Named:
    as_of = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Named(id=id_, name=name, email=email, resolution=resolution, as_of=as_of)
