"""Which environments there are: listed again every minute, and told to whoever reads them.

An environment that is no longer listed stays known as long as this worker runs: what the list no
longer shows may still answer, and its archiver finds that out by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from streamer.errors import FlatfileError
from streamer.flatfile.models import Environment
from streamer.flatfile.objects import is_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

log = structlog.get_logger()

LISTED_EVERY_S: Final = 60.0
"""Between two looks at the account's list of environments."""

RETRIED_AFTER_S: Final = 5.0
"""After a look that failed."""

GLIMPSED_AT_MOST: Final = 1000
"""Environments that no list has shown and that are read all the same: ids in events are hostile."""


class Environments:
    """The environments of the account that this deployment reads."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Sequence[Environment]]],
        *,
        included: Collection[str] = (),
    ) -> None:
        """Begin with nothing known.

        Args:
            fetch: Reads the account's list.
            included: Ids to read; empty means all.
        """
        self._fetch = fetch
        self._included = frozenset(included)
        self._known: dict[str, Environment] = {}
        self._listed: frozenset[str] = frozenset()
        self._listeners: dict[str, Callable[[], None]] = {}
        self._glimpsed = 0
        self._account_id: str | None = None
        self._changed = asyncio.Condition()

    @property
    def known(self) -> Mapping[str, Environment]:
        """By id; it only grows, and its values are replaced when one is renamed."""
        return self._known

    @property
    def account_id(self) -> str | None:
        """The account, as the environments themselves name it."""
        return self._account_id

    def includes(self, environment_id: str) -> bool:
        """Whether this deployment reads an environment, if there is one of that id."""
        return not self._included or environment_id in self._included

    def is_listed(self, environment_id: str) -> bool:
        """Whether the account's list showed an environment when it was last read."""
        return environment_id in self._listed

    def listen(self, environment_id: str, returned: Callable[[], None]) -> None:
        """Tell whoever reads an environment when the list shows it and did not the time before."""
        self._listeners[environment_id] = returned

    def unlisten(self, environment_id: str, returned: Callable[[], None]) -> None:
        """Tell nobody about it any more, unless somebody else listens by now."""
        if self._listeners.get(environment_id) == returned:
            del self._listeners[environment_id]

    async def refresh(self) -> None:
        """Read the list once.

        Raises:
            FlatfileError: It could not be read; what is known stays.
        """
        listed = await self._fetch()
        named = next((one.account_id for one in listed if one.account_id), None)
        self._account_id = self._account_id or named
        async with self._changed:
            for environment in listed:
                if not self.includes(environment.id):
                    continue
                before = self._known.get(environment.id)
                self._known[environment.id] = environment
                if before is None:
                    log.info(
                        "environments.appeared", environment=environment.id, name=environment.name
                    )
                elif before.name != environment.name:
                    log.info(
                        "environments.renamed", environment=environment.id, name=environment.name
                    )
            self._changed.notify_all()
        ids = frozenset(environment.id for environment in listed)
        returned, self._listed = ids - self._listed, ids
        for environment_id in returned & self._listeners.keys():
            self._listeners[environment_id]()

    async def glimpse(self, environment_id: str) -> None:
        """Take note of an environment that an event named and no list has shown."""
        if environment_id in self._known or not is_id(environment_id):
            return
        if not self.includes(environment_id):
            return
        if self._glimpsed >= GLIMPSED_AT_MOST:
            return
        self._glimpsed += 1
        log.info("environments.glimpsed", environment=environment_id)
        async with self._changed:
            self._known[environment_id] = Environment(id=environment_id)
            self._changed.notify_all()

    async def run(self) -> None:
        """Read the list again and again, for ever."""
        wait_s = LISTED_EVERY_S
        while True:
            await asyncio.sleep(wait_s)
            try:
                await self.refresh()
                wait_s = LISTED_EVERY_S
            except FlatfileError as error:
                log.warning("environments.not_listed", reason=error.what)
                wait_s = RETRIED_AFTER_S

    async def more_than(self, have: Collection[str]) -> Mapping[str, Environment]:
        """Wait until there are environments beside these, and return all that are known."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._known.keys() - set(have)))
            return dict(self._known)
