"""The walk over `GET /events`, which promises neither an order, nor a page size, nor stable pages.

Pure: it is driven through a function that fetches one page, and through a sieve that knows what was
handed out before. Handing a row out is always safe; only `Batch.proved` needs an argument.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from streamer.flatfile.pages import Page

if TYPE_CHECKING:
    from streamer.flatfile.server_profile import ServerProfile

ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page of `GET /events`.

    Attributes:
        since: Lower bound, always a whole second; None: from the beginning.
        number: Counts from 1.
        size: Rows that are wanted; the server may give fewer.
    """

    since: datetime | None
    number: int
    size: int


FetchPage = Callable[[PageRequest], Awaitable[Page]]


class Timed(Protocol):
    """What the walk needs to know of a row that it hands out."""

    @property
    def created_at(self) -> datetime:
        """When it was created, as well as that can be told."""


T = TypeVar("T", bound=Timed)


class Sieve(Protocol[T]):
    """Knows what was handed out before."""

    def sift(self, page: Page, times: list[datetime]) -> list[T]:
        """Return what is new on a page, and know it from now on.

        Args:
            page: The answer.
            times: For each of its rows, when it was created, as well as that can be told.
        """

    def identities(self, page: Page) -> list[int]:
        """Return what tells the rows of a page from one another, in their order."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one look has to cover.

    Attributes:
        start: Everything created from here on; None: everything.
        proved: Up to here everything is known already and need not be seen again (fast polls).
        steady: Keep one `since` for the whole look, also if it is long (sweeps).
    """

    start: datetime | None
    proved: datetime | None = None
    steady: bool = False


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What a part of a look has brought.

    Attributes:
        found: New rows, oldest first.
        proved: Every row in scope, created up to here and visible since the look began, was handed
            out, with this batch at the latest. None: nothing more than before.
        begun_at: `Date` of the first answer of the look.
        complete: The look is over. Then everything in scope that was visible all along was handed
            out, if it was created before the look began.
        more: There was more to read when this batch ended.
    """

    found: list[T]
    proved: datetime | None
    begun_at: datetime | None
    complete: bool
    more: bool


def whole_second_before(moment: datetime) -> datetime:
    """Return a `since` that admits every row from `moment` on, whatever the server makes of it.

    It may compare, cut or round to milliseconds or seconds, inclusively or exclusively.
    """
    return moment.replace(microsecond=0) - ONE_SECOND


async def walk(
    fetch: FetchPage, profile: ServerProfile, scope: Scope, sieve: Sieve[T]
) -> AsyncGenerator[Batch[T], None]:
    """Read everything in `scope`, and say how far that is proved."""
    since = None if scope.start is None else whole_second_before(scope.start)
    begun_at: datetime | None = None
    offset = 0
    number, size = 1, profile.page_size
    while True:
        page = await fetch(PageRequest(since, number, size))
        profile.observe(len(page.rows), page.size_bytes)
        if number == 1:
            begun_at = page.server_at
        times = [
            moment or page.server_at or datetime.min.replace(tzinfo=UTC) for moment in page.times
        ]
        found = sorted(sieve.sift(page, times), key=_created_at)
        last = profile.is_last(len(times), size)
        newest = max(times, default=None)
        below = [moment for moment in times if newest is not None and moment < newest]
        proved = newest if last else max(below, default=None)
        yield Batch(found, proved, begun_at, last, not last)
        if last:
            return
        offset += len(times) - 1
        limit = profile.full
        size = max(range((limit + 1) // 2, limit + 1), key=lambda s: (offset // s + 1) * s)
        number = offset // size + 1


def _created_at(row: Timed) -> datetime:
    return row.created_at
