"""One poll of the whole account that tells which environments have news.

With it the requests per second of an account follow its activity, not its size: an environment
without news is polled by itself only every `idle_interval`. The scout is a hint. It reads a few
pages of whatever order, misses what names no environment, and nothing depends on it being right.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from streamer.errors import FlatfileError
from streamer.flatfile.listing import PageRequest, whole_second_before
from streamer.flatfile.models import BrokenEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from streamer.flatfile.listing import FetchPage
    from streamer.flatfile.models import Row
    from streamer.flatfile.pages import Page

log = structlog.get_logger()

LOOKBACK: Final = timedelta(seconds=3)
"""How far before the server's clock each poll begins: a little more than it may be late."""

MOST_PAGES: Final = 4
"""Pages of one poll. What lies behind them is found by the environment's own polls."""

REMEMBERED: Final = 20_000
"""Events that are remembered, so that none wakes its environment twice."""

RETRY_AT_MOST_S: Final = 30.0
"""Longest wait after polls that failed."""


class _Context(msgspec.Struct, gc=False, rename="camel"):
    environment_id: str | None = None


_CONTEXT: Final = msgspec.json.Decoder(_Context)


class Scout:
    """Polls the account and wakes whoever listens for an environment."""

    def __init__(
        self,
        fetch: FetchPage,
        *,
        interval_s: float,
        page_size: int,
        unknown: Callable[[str], Awaitable[None]],
    ) -> None:
        """Begin with nobody listening.

        Args:
            fetch: Reads a page of the account-wide listing.
            interval_s: Between two polls.
            page_size: Events asked for at once.
            unknown: Told of an environment id that nobody listens for.
        """
        self._fetch = fetch
        self._interval_s = interval_s
        self._page_size = page_size
        self._unknown = unknown
        self._listeners: dict[str, Callable[[], None]] = {}
        self._since: datetime | None = None
        self._seen: set[int] = set()
        self._order: deque[int] = deque()

    def listen(self, environment_id: str, wake: Callable[[], None]) -> None:
        """Wake whoever reads an environment when it has news."""
        self._listeners[environment_id] = wake

    def unlisten(self, environment_id: str, wake: Callable[[], None]) -> None:
        """Wake nobody for it any more, unless somebody else listens by now."""
        if self._listeners.get(environment_id) == wake:
            del self._listeners[environment_id]

    async def run(self) -> None:
        """Poll, for ever."""
        wait_s = self._interval_s
        while True:
            try:
                await self.poll()
                wait_s = self._interval_s
            except FlatfileError as error:
                log.debug("scout.poll_failed", reason=error.what)
                wait_s = min(2 * wait_s, RETRY_AT_MOST_S)
            await asyncio.sleep(wait_s)

    async def poll(self) -> None:
        """Look once.

        Raises:
            FlatfileError: The listing could not be read.
        """
        first: Page | None = None
        for number in range(1, MOST_PAGES + 1):
            page = await self._fetch(PageRequest(self._since, number, self._page_size))
            first = first or page
            await self._tell(self._news(page.rows))
            # A server may give fewer than asked for: only an empty page is the last one for sure,
            # but a short one is as good for a hint.
            if len(page.rows) < min(self._page_size, len(first.rows) or 1):
                break
            if self._since is None:
                break
        if first is not None and first.server_at is not None:
            self._since = whole_second_before(first.server_at - LOOKBACK)

    def _news(self, rows: Iterable[Row]) -> set[str]:
        found = set()
        for row in rows:
            digest = hash(row.id)
            if digest in self._seen or isinstance(row, BrokenEvent):
                continue
            self._seen.add(digest)
            self._order.append(digest)
            environment_id = _environment_of(row.context)
            if environment_id is not None:
                found.add(environment_id)
        while len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        return found

    async def _tell(self, environment_ids: Iterable[str]) -> None:
        for environment_id in environment_ids:
            wake = self._listeners.get(environment_id)
            if wake is not None:
                wake()
            else:
                await self._unknown(environment_id)


def _environment_of(context: msgspec.Raw) -> str | None:
    if not len(context):
        return None
    try:
        return _CONTEXT.decode(context).environment_id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
