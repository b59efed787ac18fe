"""When a row was created that does not say so: a guess, by the rows beside it.

The guess never puts a listing out of order. Within a look it stays what it was where only the rest
of the page could tell: the walk goes by where a page begins, and would go back for ever if a row
were later there than it was on the page before.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from streamer.flatfile.server_profile import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_REMEMBERED: Final = 65_536
"""Guesses of one look. Beyond, the oldest go: a page that reaches back does not reach that far."""


class Guesses:
    """The guesses of one look."""

    def __init__(self) -> None:
        self._last_at: datetime | None = None
        self._known: dict[int, datetime] = {}

    def fill(
        self,
        times: Sequence[datetime | None],
        identities: Sequence[int],
        near: datetime | None,
        order: Order,
    ) -> list[datetime]:
        """Give each row without a date-time that of the row before it.

        What begins the page has what was guessed for it before, if that is in order with the row
        that follows, or else has the time of that row.

        Args:
            times: As the answer has them.
            identities: What tells the rows from one another.
            near: Stands for all of them where no page so far had any date-time.
            order: That of the listing, as far as it is known.
        """
        near = self._last_at or near or datetime.min.replace(tzinfo=UTC)
        leading = next((i for i, moment in enumerate(times) if moment is not None), len(times))
        following = times[leading] if leading < len(times) else None
        filled = self._leading(identities[:leading], following, near, order)
        last = near
        for moment in times[leading:]:
            last = moment or last
            filled.append(last)
        for moment, guess, identity in zip(times, filled, identities, strict=True):
            if moment is None:
                self._known[identity] = guess
        while len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return filled

    def note(self, last_at: datetime) -> None:
        """Remember the time of the last row of a page."""
        self._last_at = last_at

    def _leading(
        self,
        identities: Sequence[int],
        following: datetime | None,
        near: datetime,
        order: Order,
    ) -> list[datetime]:
        guesses = []
        for identity in reversed(identities):
            guess = self._known.get(identity)
            if guess is None or not _in_order(guess, following, order):
                guess = following or near
            guesses.append(guess)
            following = guess
        return guesses[::-1]


def _in_order(moment: datetime, following: datetime | None, order: Order) -> bool:
    if following is None:
        return True
    match order:
        case Order.OLDEST_FIRST:
            return moment <= following
        case Order.NEWEST_FIRST:
            return moment >= following
        case Order.UNKNOWN | Order.NONE:
            return False
