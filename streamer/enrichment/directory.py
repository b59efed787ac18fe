"""Ids -> names, from a cache that fills itself.

A page of events names a few ids many times. What is cached is answered at once. What is not is
looked for in the list that holds it (all users; the guests of the space; the agents or spaces of
the environment), which answers for its neighbours too; what the list does not show is asked for
alone. However many wait for one answer, it is asked for once; and of a list that somebody else has
read, its names are taken as well.

Nobody waits longer than `wait_s`: whoever has no name by then goes on without, the look-up goes on
as well, and a later page has its answer. Once the API has kept a page waiting in vain for names of
one kind, or could not be reached, no page waits for that kind until it has answered again: a few
look-ups every `FAILED_S` try that.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, Self

import structlog

from streamer.audit.names import Named
from streamer.enrichment.answering import FAILED_S, Answering
from streamer.enrichment.cache import REFRESH_S, Cache
from streamer.enrichment.listed import ListedNames, named, named_of
from streamer.enrichment.wanted import wanted_by
from streamer.errors import FlatfileError, FlatfileNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from streamer.audit.names import Names
    from streamer.audit.normalize import Draft
    from streamer.enrichment.wanted import Kind, Wanted
    from streamer.flatfile.lists import Listener
    from streamer.flatfile.models import Agent, Guest, Space, User
    from streamer.flatfile.objects import ListKey

log = structlog.get_logger()

KEPT_S: Final = 86_400.0
"""How old a name may be and still be used, while Flatfile does not answer."""

GONE_S: Final = 60.0
"""How long "does not exist" is believed."""

LIST_MARGIN_S: Final = 60.0
"""An id that is in no list read at least this long after its event is taken for gone; a younger one
is asked for alone."""

AT_ONCE: Final = 8
"""Look-ups that run at the same time."""

UNDER_WAY: Final = 5_000
"""Look-ups that run or wait for their turn; what is wanted beyond is left to a later page."""


class Lists(Protocol):
    """Where lists are read; `streamer.flatfile.lists`."""

    def listen(self, listener: Listener) -> None:
        """Tell a listener of every list that is read."""

    async def read(self, which: ListKey, asker: Listener) -> None:
        """Have one read for a listener. Raises `FlatfileError`."""


class Objects(Protocol):
    """Where one object is asked for. Each call raises `FlatfileError`, `…NotFoundError`."""

    async def user(self, user_id: str) -> User:
        """One user."""

    async def guest(self, guest_id: str) -> Guest:
        """One guest."""

    async def agent(self, agent_id: str, environment_id: str) -> Agent:
        """One agent."""

    async def space(self, space_id: str) -> Space:
        """One space."""


class Directory:
    """The names of one account. Use it as an asynchronous context manager."""

    def __init__(
        self,
        lists: Lists,
        objects: Objects,
        *,
        wait_s: float,
        on_lookup: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing.

        Args:
            lists: The account's lists.
            objects: Its objects, one by one.
            wait_s: How long one page waits for names.
            on_lookup: Told of every look-up that was made: its kind, and its outcome.
            clock: Monotonic seconds.
        """
        self._lists = lists
        self._objects = objects
        self._wait_s = wait_s
        self._on_lookup = on_lookup
        self._clock = clock
        self._cache = Cache(clock)
        self._answering: defaultdict[Kind, Answering] = defaultdict(Answering)
        self._running: dict[object, asyncio.Task[None]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()
        lists.listen(self._listen)

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
        return await self.names(wanted_by(drafts, environment_id), age_s=age_s)

    async def names(self, wanted: Iterable[Wanted], *, age_s: float = 0.0) -> Names:
        """Find the names of these ids, as far as they can be had within `wait_s`."""
        found: dict[str, Named] = {}
        old: defaultdict[Kind, list[Wanted]] = defaultdict(list)
        refreshed: defaultdict[Kind, list[Wanted]] = defaultdict(list)
        now = self._clock()
        for want in wanted:
            entry = self._cache.get(want.id)
            found[want.id] = Named(id=want.id) if entry is None else entry.named
            if entry is None or entry.old_at <= now:
                old[want.kind].append(want)
            elif entry.refreshed_at <= now:
                refreshed[want.kind].append(want)
        tasks = {kind: self._start(kind, ids, age_s) for kind, ids in old.items()}
        for kind, ids in refreshed.items():
            _ = self._start(kind, ids, age_s)
        await self._wait_for({k: t for k, t in tasks.items() if t and self._answering[k].is_alive})
        for want in (want for ids in old.values() for want in ids):
            entry = self._cache.get(want.id)
            if entry is not None:
                found[want.id] = entry.named
        return found

    def _start(self, kind: Kind, wanted: list[Wanted], age_s: float) -> set[asyncio.Task[None]]:
        """Start what will bring these names, as much as makes sense now."""
        return {
            self._once(want.id, partial(self._find, want, age_s))
            for want in self._answering[kind].worth_asking(wanted, self._clock())
            if want.id in self._running or len(self._running) < UNDER_WAY
        }

    async def _wait_for(self, tasks: dict[Kind, set[asyncio.Task[None]]]) -> None:
        if not tasks:
            return
        answers = {kind: self._answering[kind].answers for kind in tasks}
        _, running = await asyncio.wait(set().union(*tasks.values()), timeout=self._wait_s)
        for kind, own in tasks.items():
            if own & running and self._answering[kind].answers == answers[kind]:
                self._answering[kind].is_silent(self._clock())

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
        listed_in = want.listed_in
        if listed_in is not None:
            if self._cache.is_due(listed_in):
                await self._once(listed_in, partial(self._read_list, want.kind, listed_in))
                entry = self._cache.get(want.id)
                if entry is not None and self._clock() < entry.refreshed_at:
                    return
            if began - self._cache.complete_at(listed_in) + LIST_MARGIN_S < age_s:
                # It existed before the list was read, and the list does not show it.
                self._is_gone(want)
                return
        await self._ask(want)

    def _listen(self, which: ListKey) -> ListedNames | None:
        return ListedNames.of(which, self._cache, self._clock, KEPT_S)

    async def _read_list(self, kind: Kind, which: ListKey) -> None:
        try:
            async with self._at_once:
                await self._lists.read(which, self._listen)
        except FlatfileError as error:
            # Its members are then asked for alone, not the list each time.
            self._cache.postpone(which, FAILED_S if error.retriable else REFRESH_S)
            self._failed(kind, f"{kind}s", error)
            return
        self._answering[kind].has_answered()
        self._on_lookup(f"{kind}s", "found")

    async def _ask(self, want: Wanted) -> None:
        try:
            async with self._at_once:
                found = await self._single(want)
        except FlatfileNotFoundError:
            self._answering[want.kind].has_answered()
            self._is_gone(want)
        except FlatfileError as error:
            self._failed(want.kind, want.kind, error)
            # An old name is better than none.
            if not self._cache.use_again(want.id, FAILED_S):
                self._cache.keep(Named(id=want.id), FAILED_S)
        else:
            self._answering[want.kind].has_answered()
            self._on_lookup(want.kind, "found")
            self._cache.keep(found, KEPT_S)

    def _is_gone(self, want: Wanted) -> None:
        self._on_lookup(want.kind, "not_found")
        self._cache.keep(named(want.id, resolution="not_found"), GONE_S)

    def _failed(self, kind: Kind, what: str, error: FlatfileError) -> None:
        self._on_lookup(what, "failed")
        log.debug("enrichment.look_up_failed", kind=what, reason=error.what)
        if error.retriable:
            self._answering[kind].is_silent(self._clock())

    async def _single(self, want: Wanted) -> Named:
        match want.kind:
            case "user":
                return named_of(await self._objects.user(want.id))
            case "guest":
                return named_of(await self._objects.guest(want.id))
            case "agent":
                return named_of(await self._objects.agent(want.id, want.within or ""))
            case "space":
                return named_of(await self._objects.space(want.id))
