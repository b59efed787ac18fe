"""The pages of one look, one at a time: what is new on each, and whether it is in order.

Whatever was new on a page is held until a batch takes it: also what was seen while looking for the
end of the listing, and on pages that turned out to prove nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from operator import attrgetter, ge, le
from typing import TYPE_CHECKING, Final, Generic

from streamer.errors import AnswerTooLargeError
from streamer.flatfile.listing import Batch, FetchPage, PageRequest, Sieve, T
from streamer.flatfile.server_profile import (
    DOCUMENTED_PAGE_SIZE,
    SHORTEST_EVIDENCE,
    Order,
    OrderEvidence,
    ServerProfile,
)
from streamer.flatfile.undated import Guesses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from streamer.flatfile.pages import Page

CALM_PAGES: Final = 16
"""So many pages of a look must arrive after one that was too large, until more is asked for again.
With fewer, a huge event would be asked for for ever: a row at a time, it takes eight to pass it."""

CONVINCING_PAGES: Final = 8
"""Pages of one look, all in order, by which an order comes to be trusted."""

_CREATED_AT: Final = attrgetter("created_at")


class OrderDoubtedError(Exception):
    """The look goes on under another belief: never leaves `streamer.flatfile.walk`."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One page, as the walk sees it: without its rows, which are large, and which a batch takes.

    Attributes:
        offset: Place of its first row in the listing, from 0, if the size asked for was honoured.
        times: When its rows were created, in the order of the answer.
        news: When those of them were created that were new.
        identities: What tells its rows from one another.
        last: Whether it ends the listing.
        is_placed: Whether any row says when it was created: else all of `times` are guesses.
    """

    offset: int
    times: list[datetime]
    news: list[datetime]
    identities: list[int]
    last: bool
    is_placed: bool

    @property
    def end(self) -> int:
        """Place of the first row behind it."""
        return self.offset + len(self.times)


class Reader(Generic[T]):
    """Reads pages for one look.

    Attributes:
        begun_at: `Date` of the first answer.
        going_by: The order that the walk relies on at present; a page that is against it, of this
            environment or another, ends that.
        held_bytes: About how much is held.
        thorough: Whether a page that ends the listing is believed only after asking for the next
            one. A server whose cap went down would otherwise cut every listing short.
    """

    def __init__(
        self, fetch: FetchPage, profile: ServerProfile, sieve: Sieve[T], *, thorough: bool
    ) -> None:
        self.thorough = thorough
        self.begun_at: datetime | None = None
        self.going_by = Order.UNKNOWN
        self.held_bytes = 0
        self._fetch = fetch
        self._profile = profile
        self._sieve = sieve
        self._evidence = OrderEvidence()
        self._held: list[T] = []
        self._begun = False
        self._pages = 0
        self._bearable: int | None = None
        self._calm = 0
        self._guesses = Guesses()
        self._unplaced: list[Page] = []

    @property
    def limit(self) -> int:
        """Most rows that may be asked for, so that a short page is the last one."""
        return self._bearable_of(self._profile.full)

    @property
    def order(self) -> Order:
        """The order to go by."""
        return self._profile.order

    @property
    def trusts_order(self) -> bool:
        """Whether the order is borne out well enough to prove something by it."""
        if self._pages >= CONVINCING_PAGES:
            self._profile.trusted = True
        return self._profile.trusted

    def trust_order(self) -> None:
        """Note that a whole listing of several pages was in order."""
        self._profile.trusted = True

    async def first(self, since: datetime | None) -> Sighting:
        """Read the first page, as long as can be had."""

        def placed(_: int) -> tuple[int, int]:
            return 1, self._bearable_of(self._profile.page_size)

        return await self.read_placed(since, placed)

    async def read_placed(
        self, since: datetime | None, placed: Callable[[int], tuple[int, int]]
    ) -> Sighting:
        """Read a page, or a smaller one if the answer is too large, down to a single row.

        Args:
            since: Lower bound of the listing.
            placed: Number and size of the page, made of the most rows that may be asked for.
        """
        while True:
            number, size = placed(self.limit)
            try:
                return await self.read(since, number, size)
            except AnswerTooLargeError:
                if size == 1:
                    raise
                self._bearable = max(1, min(size, self._profile.full) // 2)
                self._calm = 0
                self._profile.shrink()

    async def read(self, since: datetime | None, number: int, size: int) -> Sighting:
        """Read a page.

        Raises:
            OrderDoubtedError: It is not in the order that was believed. What was new is held.
        """
        sighting = await self._read(since, number, size)
        if not (self.thorough and sighting.last and len(sighting.times) >= DOCUMENTED_PAGE_SIZE):
            return sighting
        if not (await self._read(since, number + 1, size)).times:
            return sighting
        self._profile.lower_cap(len(sighting.times))
        return replace(sighting, last=False)

    async def _read(self, since: datetime | None, number: int, size: int) -> Sighting:
        page = await self._ask(since, number, size)
        times = self._times_of(page)
        found = self._sift(page, times)
        self._check_order(times)
        return Sighting(
            offset=(number - 1) * size,
            times=times,
            news=list(map(_CREATED_AT, found)),
            identities=self._sieve.identities(page),
            last=self._profile.is_last(len(times), size),
            is_placed=any(moment is not None for moment in page.times),
        )

    async def _ask(self, since: datetime | None, number: int, size: int) -> Page:
        page = await self._fetch(PageRequest(since, number, size))
        if not self._begun:
            self._begun = True
            self.begun_at = page.server_at
        self._profile.observe(len(page.rows), page.size_bytes)
        self._bear_more()
        return page

    async def is_end(self, since: datetime | None, offset: int) -> bool:
        """Ask for the one row at `offset`: whether the listing ends before it.

        A row without a time is left to the page that has it beside others, and to the end of the
        look if none has: alone there is nothing to guess it by, and a wrong guess could be newer
        than what is proved before that page.
        """
        page = await self._ask(since, offset + 1, 1)
        if None in page.times:
            self._unplaced.append(page)
        else:
            self._sift(page, self._times_of(page))
        return not page.rows

    def take(self, up_to: datetime | None = None) -> list[T]:
        """Give out what is held, oldest first; only what was created `up_to` a time."""
        held = sorted(self._held, key=_CREATED_AT)
        keep: list[T] = []
        if up_to is not None:
            keep = [item for item in held if item.created_at > up_to]
            held = held[: len(held) - len(keep)]
        self.held_bytes = self.held_bytes * len(keep) // (len(held) + len(keep) or 1)
        self._held = keep
        return held

    def complete(self, proved: datetime | None, *, more: bool = False, listed: int = 0) -> Batch[T]:
        """Return the last batch of a look: all that is held."""
        for page in self._unplaced:
            self._sift(page, self._times_of(page))
        self._unplaced.clear()
        return Batch(self.take(), proved, self.begun_at, complete=True, more=more, listed=listed)

    def _times_of(self, page: Page) -> list[datetime]:
        if None in page.times:
            identities = self._sieve.identities(page)
            times = self._guesses.fill(page.times, identities, page.server_at, self._profile.order)
        else:
            times = page.times  # type: ignore[assignment]
        if times:
            self._guesses.note(times[-1])
        return times

    def _sift(self, page: Page, times: list[datetime]) -> list[T]:
        found = self._sieve.sift(page, times)
        self._held += found
        self.held_bytes += page.size_bytes * len(found) // (len(page.rows) or 1)
        return found

    def _bearable_of(self, rows: int) -> int:
        return rows if self._bearable is None else min(rows, self._bearable)

    def _bear_more(self) -> None:
        self._calm += 1
        if self._bearable is not None and self._calm > CALM_PAGES:
            self._bearable *= 2

    def _check_order(self, times: Sequence[datetime]) -> None:
        profile = self._profile
        if profile.order is Order.UNKNOWN:
            self._evidence.add(times)
            profile.order = self._evidence.order
        elif profile.order is not Order.NONE:
            in_order = le if profile.order is Order.OLDEST_FIRST else ge
            if all(map(in_order, times, islice(times, 1, None))):
                self._pages += len(times) >= SHORTEST_EVIDENCE
            else:
                profile.order = Order.NONE
        if self.going_by is not Order.UNKNOWN and self.going_by is not profile.order:
            raise OrderDoubtedError
