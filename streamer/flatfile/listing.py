"""What is asked of `GET /events`, and what a look through it brings.

The words that the walk (`streamer.flatfile.walk`), the client that fetches pages and the cursor
that keeps the positions have in common. No I/O.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from streamer.flatfile.pages import Page

ONE_SECOND: Final = timedelta(seconds=1)


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
        proved: A fast poll: everything created up to here is known already, and is only looked at
            again as far as that costs little. None: a thorough look.
        listed: A fast poll: how many rows the last one found from this same `start` on.
        steady: Keep one `since`, also if the look is long. Then even a listing in the order of
            arrival shows what came late; with a `since` that follows, it would be passed by.
    """

    start: datetime | None
    proved: datetime | None = None
    listed: int = 0
    steady: bool = False


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """What a part of a look has brought.

    Attributes:
        found: New rows, oldest first.
        proved: Every row in scope, created up to here and visible since the look began, was handed
            out, with this batch at the latest. None: nothing more than before.
        begun_at: `Date` of the first answer of the look.
        complete: The look is over: everything in scope that was created before the look began, and
            visible all along, was handed out.
        more: There was more to read when this batch ended.
        listed: With `complete`: rows from `Scope.start` on, if that is known.
    """

    found: list[T]
    proved: datetime | None
    begun_at: datetime | None
    complete: bool = False
    more: bool = True
    listed: int = 0


def whole_second_before(moment: datetime) -> datetime:
    """Return a `since` that admits every row from `moment` on, whatever the server makes of it.

    It may compare, cut or round to milliseconds or seconds, inclusively or exclusively.
    """
    return moment.replace(microsecond=0) - ONE_SECOND
