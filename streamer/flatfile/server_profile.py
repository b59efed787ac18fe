"""What the answers of one server have shown about how it lists events.

Kept per server, for all environments and as long as the process lives: nothing here is needed for
being right, only for asking less. The walk doubts all of it in every look.

Why the cap needs no certainty of its own: the longest page ever seen is a lower bound of it, so a
page shorter than that, and than what was asked for, is short for want of rows. A page as long as
the longest is taken for a full one, which costs a request at worst.
"""

from __future__ import annotations

from enum import Enum
from itertools import islice
from operator import gt, lt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

DOCUMENTED_PAGE_SIZE: Final = 10
"""No server clamps below its own default. Source: Flatfile's API reference, `GET /events`."""

LARGE_PAGE_BYTES: Final = 4 * 1024 * 1024
"""A page above this halves the size that is asked for; one below a quarter doubles it again."""

CONVINCING_STEPS: Final = 7
"""Steps in one direction, from 8 distinct `createdAt`, that make an order believed."""

SHORTEST_EVIDENCE: Final = 5
"""Pages with fewer rows are no evidence of an order: any two rows are in some order."""


class Order(Enum):
    """How a listing is sorted by `createdAt`, as far as it is known."""

    UNKNOWN = "unknown"
    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"
    NONE = "none"


class OrderEvidence:
    """What the pages of one look say about their order.

    One look only: the same two rows, seen in every poll, would otherwise convince by repetition.
    """

    __slots__ = ("falling", "rising")

    def __init__(self) -> None:
        self.rising = 0
        self.falling = 0

    @property
    def order(self) -> Order:
        """What may be believed so far."""
        if self.rising and self.falling:
            return Order.NONE
        if self.rising >= CONVINCING_STEPS:
            return Order.OLDEST_FIRST
        if self.falling >= CONVINCING_STEPS:
            return Order.NEWEST_FIRST
        return Order.UNKNOWN

    def add(self, times: Sequence[datetime]) -> None:
        """Count the steps of one page whose `times` are in the order of the answer."""
        up = sum(map(lt, times, islice(times, 1, None)))
        down = sum(map(gt, times, islice(times, 1, None)))
        if len(times) >= SHORTEST_EVIDENCE or (up and down):
            self.rising += up
            self.falling += down


class ServerProfile:
    """Order, cap and bearable page size of one server, as seen so far.

    Attributes:
        order: Believed after 8 distinct times in one direction and none against, in one look. One
            row out of order disproves it for good: then there is none.
        trusted: Whether 8 pages, or a listing of several, have borne it out: until then nothing is
            proved by it before a look has seen the whole listing.
        longest: Rows of the longest page seen: the cap, or less.
    """

    __slots__ = ("_ceiling", "longest", "order", "page_size", "trusted")

    def __init__(self, page_size: int) -> None:
        self._ceiling = page_size
        self.page_size = page_size
        self.order = Order.UNKNOWN
        self.trusted = False
        self.longest = 0

    @property
    def full(self) -> int:
        """Rows to ask for where a short answer must mean the end of the listing."""
        return max(1, min(self.page_size, self.longest or self.page_size))

    def is_last(self, rows: int, asked: int) -> bool:
        """Whether a page of `rows` where `asked` were wanted ends the listing."""
        return rows < asked and (rows < self.longest or rows < DOCUMENTED_PAGE_SIZE)

    def observe(self, rows: int, size_bytes: int) -> None:
        """Learn from a page that arrived."""
        self.longest = max(self.longest, rows)
        if size_bytes > LARGE_PAGE_BYTES:
            self.page_size = max(1, min(self.page_size, rows) // 2)
        elif size_bytes * 4 < LARGE_PAGE_BYTES and rows >= self.page_size < self._ceiling:
            self.page_size = min(self.page_size * 2, self._ceiling)

    def lower_cap(self, rows: int) -> None:
        """Forget the longest page: a page of so many `rows` was short, and had a successor."""
        self.longest = max(rows, DOCUMENTED_PAGE_SIZE)

    def shrink(self) -> None:
        """Ask for less: the last answer could not be used, maybe because it was too large."""
        self.page_size = max(1, self.full // 2)
