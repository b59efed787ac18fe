"""The inventory as the API has it now, in the form in which it would be published."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from streamer.audit.privacy import Privacy
from streamer.errors import FlatfileError
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.lists import ENVIRONMENTS, USERS, Lists
from streamer.flatfile.objects import ListKey
from streamer.inventory.message import decode, encode
from streamer.inventory.things import read_thing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from streamer.config import Settings
    from streamer.flatfile.objects import Element, Kind
    from streamer.inventory.message import Message

AT_ONCE: Final = 8
"""Lists that are read at the same time."""


class Live:
    """Reads the lists of an account, each once.

    Attributes:
        failures: What could not be listed, and why.
    """

    def __init__(self, settings: Settings) -> None:
        self.failures: list[str] = []
        self._settings = settings
        self._privacy = Privacy(settings.privacy.personal_data, settings.privacy.key_bytes)
        self._found: defaultdict[Kind, dict[str, Message]] = defaultdict(dict)
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def read(
        self, kinds: Collection[Kind], is_wanted: Callable[[Message], bool]
    ) -> list[Message]:
        """List objects of these kinds.

        Args:
            kinds: What is wanted.
            is_wanted: Of which environments.

        Raises:
            FlatfileError: Not even the environments could be listed.
        """
        async with FlatfileClient(self._settings.flatfile) as client:
            lists = Lists(client)
            lists.listen(self._listen)
            await lists.read(ENVIRONMENTS, self._listen)
            places = [one.id for one in self._found["environment"].values() if is_wanted(one)]
            within: list[Kind] = [kind for kind in ("space", "agent") if kind in kinds]
            first = [ListKey(kind, place) for kind in within for place in places]
            await self._all(lists, [*([USERS] if "user" in kinds else []), *first])
            if "guest" in kinds:
                # The API lists them space by space only.
                await self._all(lists, [ListKey("guest", id_) for id_ in self._found["space"]])
        return [one for kind in kinds for one in self._found[kind].values()]

    async def _all(self, lists: Lists, wanted: Iterable[ListKey]) -> None:
        async with asyncio.TaskGroup() as group:
            for which in wanted:
                group.create_task(self._one(lists, which), name=f"list {which}")

    async def _one(self, lists: Lists, which: ListKey) -> None:
        async with self._at_once:
            try:
                await lists.read(which, self._listen)
            except FlatfileError as error:
                self.failures.append(f"{which.kind}s of {which.within or 'the account'}: {error}")

    def _listen(self, which: ListKey) -> _Taking:
        return _Taking(self._take, which)

    def _take(self, which: ListKey, elements: Sequence[Element]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        place = which.within
        if which.kind == "guest":
            space = self._found["space"].get(place or "")
            place = None if space is None else space.environment_id
        for element in elements:
            thing = read_thing(which.kind, element, self._privacy, environment_id=place)
            if thing is None:
                continue
            value = encode(
                thing,
                account_id="",
                privacy=self._privacy,
                first_seen=now,
                last_seen=now,
                observed_only=None,
            )
            message = decode(value)
            if message is not None:
                self._found[which.kind][thing.id] = message


class _Taking:
    """Hands on what one list shows."""

    def __init__(self, take: Callable[[ListKey, Sequence[Element]], None], which: ListKey) -> None:
        self._take = take
        self._which = which

    def take(self, elements: Sequence[Element]) -> None:
        """Take what a page shows."""
        self._take(self._which, elements)

    def done(self, *, complete: bool) -> None:
        """Nothing to do: what is missing here is missed by nobody."""
