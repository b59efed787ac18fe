"""The account's lists, each read once for everyone who wants to know what is in it.

Names for records and the inventory are made of the same lists. Whoever has one read has all
listeners told, and who asks for a list that is being read waits for that. Nothing of a list is kept
here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from weakref import WeakValueDictionary

import msgspec

from streamer.flatfile.budget import Priority
from streamer.flatfile.models import Environment
from streamer.flatfile.objects import ListKey, read_element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.flatfile.objects import Element

ENVIRONMENTS: Final = ListKey("environment")
USERS: Final = ListKey("user")


class Client(Protocol):
    """Who asks the API."""

    async def read_list(
        self,
        which: ListKey,
        take: Callable[[Sequence[Element]], object],
        *,
        archived: bool | None = None,
        priority: Priority = Priority.INVENTORY,
    ) -> bool:
        """Read a list, as `FlatfileClient` does."""


class Reading(Protocol):
    """What a listener does while one list is read."""

    def take(self, elements: Sequence[Element]) -> None:
        """Take what a page shows; the same object may be shown twice."""

    def done(self, *, complete: bool) -> None:
        """Know that the list was read to its end; not called when that failed.

        Args:
            complete: Whether what was not shown is not there.
        """


Listener: TypeAlias = Callable[[ListKey], Reading | None]
"""Called when a list begins to be read; None: not interested."""


@dataclass(slots=True, weakref_slot=True)
class _Turn:
    """Who may read one list.

    Attributes:
        times_read: How often that has been done while somebody waited.
        told: Who was told of the last reading.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    times_read: int = 0
    told: tuple[Listener, ...] = ()


class Lists:
    """The lists of one account."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._listeners: dict[Listener, None] = {}
        self._turns: WeakValueDictionary[ListKey, _Turn] = WeakValueDictionary()
        self._shows_archived = False

    def listen(self, listener: Listener) -> None:
        """Tell a listener of every list that is read from now on."""
        self._listeners[listener] = None

    def unlisten(self, listener: Listener) -> None:
        """Tell it of none any more."""
        self._listeners.pop(listener, None)

    async def environments(self) -> Sequence[Environment]:
        """Return all environments of the account.

        Raises:
            FlatfileError: They could not be listed.
        """
        found = _Environments()
        await self._read(ENVIRONMENTS, Priority.LIVE, found)
        return found.views

    async def read(self, which: ListKey, asker: Listener) -> None:
        """Have a list read, or wait until somebody who is reading it has done so.

        Args:
            which: The list.
            asker: The listener on whose behalf: it is told in any case.

        Raises:
            FlatfileError: It could not be read to its end.
        """
        turn = self._turns.setdefault(which, _Turn())
        before = turn.times_read
        async with turn.lock:
            # One that was begun before somebody listened has not told them.
            if turn.times_read == before or asker not in turn.told:
                turn.told = tuple(self._listeners)
                await self._read(which, Priority.INVENTORY)
                turn.times_read += 1

    async def _read(self, which: ListKey, priority: Priority, *more: Reading) -> None:
        asked = (listener(which) for listener in self._listeners)
        readings = [*more, *(reading for reading in asked if reading is not None)]

        def take(elements: Sequence[Element]) -> None:
            for reading in readings:
                reading.take(elements)

        def take_spaces(elements: Sequence[Element]) -> None:
            self._shows_archived = self._shows_archived or any(map(_is_archived, elements))
            take(elements)

        if which.kind != "space":
            complete = await self._client.read_list(which, take, priority=priority)
        else:
            complete = await self._client.read_list(which, take_spaces, priority=priority)
            if not self._shows_archived:
                # Whether they are in the list of all is not documented; once one was, all are.
                complete &= await self._client.read_list(
                    which, take, archived=True, priority=priority
                )
        for reading in readings:
            reading.done(complete=complete)


class _Environments:
    """Makes typed views of the list of environments."""

    def __init__(self) -> None:
        self.views: list[Environment] = []

    def take(self, elements: Sequence[Element]) -> None:
        views = (read_element(element.raw, Environment) for element in elements)
        self.views += [view for view in views if view is not None]

    def done(self, *, complete: bool) -> None:
        """Nothing to do: what is missing here is missed by nobody."""


class _Space(msgspec.Struct, rename="camel"):
    archived_at: str | None = None


def _is_archived(element: Element) -> bool:
    try:
        return bool(msgspec.json.decode(element.raw, type=_Space).archived_at)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
