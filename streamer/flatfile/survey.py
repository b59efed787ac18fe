"""A look at how a server lists events, with few requests: order, page cap, `since`, backlog.

For people: the walk learns by itself what it needs, and doubts it. Pages come through a function.
What cannot be seen is left open, never guessed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamer.errors import (
    FlatfileAnswerError,
    FlatfileForbiddenError,
    FlatfileNotFoundError,
    FlatfileUnavailableError,
)
from streamer.flatfile.listing import PageRequest, whole_second_before
from streamer.flatfile.pages import Page
from streamer.flatfile.server_profile import DOCUMENTED_PAGE_SIZE, Order, OrderEvidence
from streamer.flatfile.since_reading import SinceReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

FetchPageOf = Callable[[PageRequest, str | None], Awaitable[Page]]
"""Asks for a page of one environment's events; None: of all at once."""

ENVIRONMENTS_AT_MOST: Final = 5
"""So many are looked at one by one; if there are more, the backlog is that of the account."""

MOST_SINCE_REQUESTS: Final = 8
"""Halving the readings of `since` takes four, unless answers tell less than was hoped for."""

MOST_NARROWINGS: Final = 4
"""Of a listing without order, until what is left of it fits on a page."""

NARROWED_TO: Final = 10
"""Events of a page without order, the newest, that the next one goes back to: a few that are near
each other tell more than one."""

_EXACT_TO_ONE_IN: Final = 8
"""The backlog's end is looked for until it is known so well."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many events there are to be read at first.

    Attributes:
        events: Counted, or else estimated.
        is_counted: Whether that is exact.
        unknown_beyond: Why no more than these could be seen; None: these are all.
    """

    events: int
    is_counted: bool
    unknown_beyond: str | None = None

    def __add__(self, other: Backlog) -> Backlog:
        return Backlog(
            self.events + other.events,
            self.is_counted and other.is_counted,
            self.unknown_beyond or other.unknown_beyond,
        )


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen of a server.

    Attributes:
        looked_at: The environments whose events were read.
        closed: Those that these credentials may not read.
        rows: Events on their first pages.
        order: As far as those tell.
        page_size: Events asked for in a page.
        longest: Events of the longest page.
        cap: The most that the server gives in a page; None: that limit was not met.
        since: What it makes of `since`.
        backlog: None: nothing that has happened so far is to be read.
    """

    looked_at: tuple[str, ...]
    closed: tuple[str, ...]
    rows: int
    order: Order
    page_size: int
    longest: int
    cap: int | None
    since: SinceReading
    backlog: Backlog | None

    @property
    def full_page(self) -> int:
        """Events of a page of the backlog."""
        return self.cap or self.page_size


class _UncountableError(Exception):
    """The server does not let rows be counted; says why."""


class Surveyor:
    """Looks at one server."""

    def __init__(self, fetch: FetchPageOf, *, page_size: int) -> None:
        """Prepare; nothing is asked yet.

        Args:
            fetch: Asks for a page. Its errors come out, unless they say something themselves.
            page_size: Events to ask for in a page, as `run` does.
        """
        self._fetch = fetch
        self._page_size = page_size
        self._cap: int | None = None
        self._order = Order.UNKNOWN

    async def look(
        self, environment_ids: Sequence[str], *, start: datetime | None, backlog: bool
    ) -> Survey:
        """Look at some of these environments, and at the backlog of all.

        Args:
            environment_ids: At least one.
            start: Nothing older belongs to the backlog; None: everything does.
            backlog: Whether to look at it at all.

        Raises:
            FlatfileForbiddenError: None of those looked at may be read.
        """
        pages, closed = await self._first_pages(environment_ids[:ENVIRONMENTS_AT_MOST])
        self._order = _order_of(pages.values())
        sample = max(pages, key=lambda each: len(pages[each].rows))
        self._cap = await self._find_cap(sample, pages[sample])
        since = await self._read_since(sample, pages[sample])
        counted: list[Backlog] = []
        if backlog and len(environment_ids) > ENVIRONMENTS_AT_MOST:
            counted.append(await self._count(None, start))
        elif backlog:
            for each, page in pages.items():
                counted.append(await self._count(each, start, page))
        return Survey(
            looked_at=tuple(pages),
            closed=closed,
            rows=sum(len(page.rows) for page in pages.values()),
            order=self._order,
            page_size=self._page_size,
            longest=len(pages[sample].rows),
            cap=self._cap,
            since=since,
            backlog=sum(counted, Backlog(0, is_counted=True)) if backlog else None,
        )

    async def _first_pages(
        self, environment_ids: Sequence[str]
    ) -> tuple[dict[str, Page], tuple[str, ...]]:
        pages: dict[str, Page] = {}
        refused: dict[str, FlatfileForbiddenError | FlatfileNotFoundError] = {}
        for each in environment_ids:
            try:
                pages[each] = await self._page(each, None)
            except (FlatfileForbiddenError, FlatfileNotFoundError) as error:
                refused[each] = error
        if not pages:
            raise refused[environment_ids[0]]
        return pages, tuple(refused)

    async def _page(self, scope: str | None, since: datetime | None, number: int = 1) -> Page:
        return await self._fetch(PageRequest(since, number, self._page_size), scope)

    def _is_full(self, page: Page) -> bool:
        return len(page.rows) >= (self._cap or self._page_size)

    async def _find_cap(self, scope: str, first: Page) -> int | None:
        """Find out whether the first page is shorter than asked for, and not the last one.

        Unless the server clamps, the second page begins behind all rows, and behind those too that
        have arrived meanwhile.
        """
        rows = len(first.rows)
        if not DOCUMENTED_PAGE_SIZE <= rows < self._page_size:
            return None
        return rows if (await self._page(scope, None, number=2)).rows else None

    async def _read_since(self, scope: str, first: Page) -> SinceReading:
        reading = SinceReading()
        page = await self._comparable(scope, first)
        known = self._judged(_known(page), page)
        for _ in range(MOST_SINCE_REQUESTS):
            since = reading.next_since(known.values())
            if since is None:
                break
            answer = await self._page(scope, since)
            reading.answered(since, _known(answer).keys(), self._judged(known, answer))
        return reading

    async def _comparable(self, scope: str, page: Page) -> Page:
        """Return a page whose rows can be looked for under another `since`.

        Where there is no order, they could stand anywhere but in a listing of one page.
        """
        if self._order in {Order.OLDEST_FIRST, Order.NEWEST_FIRST}:
            return page
        for _ in range(MOST_NARROWINGS):
            newest = sorted(_known(page).values())[-NARROWED_TO:]
            if not newest or not self._is_full(page):
                break
            page = await self._page(scope, whole_second_before(newest[0]))
        return page

    def _judged(self, known: Mapping[str, datetime], answer: Page) -> dict[str, datetime]:
        """Return those of the known events that would be in this answer, if `since` lets them.

        On a full page those of its last instant, and what would stand behind, may be cut off.
        """
        if not self._is_full(answer):
            return dict(known)
        last = next((at for at in reversed(answer.times) if at is not None), None)
        if last is None or self._order not in {Order.OLDEST_FIRST, Order.NEWEST_FIRST}:
            return {}
        rising = self._order is Order.OLDEST_FIRST
        return {id_: at for id_, at in known.items() if (at < last if rising else at > last)}

    async def _count(
        self, scope: str | None, start: datetime | None, first: Page | None = None
    ) -> Backlog:
        """Count a listing that is short; else find about where it ends, row by row.

        Args:
            scope: Whose listing.
            start: Where it begins.
            first: Its first page from the beginning of time, if that is known.
        """
        since = None if start is None else whole_second_before(start)
        if first is None or since is not None:
            try:
                first = await self._page(scope, since)
            except (FlatfileAnswerError, FlatfileForbiddenError) as error:
                if scope is not None:
                    raise
                why = f"the server does not list all environments at once ({error.what})"
                return Backlog(0, is_counted=False, unknown_beyond=why)
        low = len(first.rows)
        if not self._is_full(first):
            return Backlog(low, is_counted=True)
        try:
            high = 2 * low
            while await self._has_row(scope, since, high):
                low, high = high, 2 * high
            while (high - low) * _EXACT_TO_ONE_IN > low:
                middle = (low + high) // 2
                if await self._has_row(scope, since, middle):
                    low = middle
                else:
                    high = middle
        except _UncountableError as error:
            return Backlog(low, is_counted=False, unknown_beyond=str(error))
        return Backlog((low + high) // 2, is_counted=False)

    async def _has_row(self, scope: str | None, since: datetime | None, offset: int) -> bool:
        try:
            page = await self._fetch(PageRequest(since, offset + 1, 1), scope)
        except (FlatfileAnswerError, FlatfileUnavailableError) as error:
            message = f"the server gives no page so far in ({error.what})"
            raise _UncountableError(message) from None
        if len(page.rows) > 1:
            message = f"the server gives {len(page.rows)} events where one is asked for"
            raise _UncountableError(message)
        return bool(page.rows)


def _order_of(pages: Iterable[Page]) -> Order:
    evidence = OrderEvidence()
    for page in pages:
        evidence.add([at for at in page.times if at is not None])
    return evidence.order


def _known(page: Page) -> dict[str, datetime]:
    """Ids and times of the events of a page that have both."""
    return {
        row.id: at
        for row, at in zip(page.rows, page.times, strict=True)
        if row.id is not None and at is not None
    }
