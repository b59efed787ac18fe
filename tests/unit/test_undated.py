"""What is guessed of rows that do not say when they were created."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamer.flatfile.server_profile import Order
from streamer.flatfile.undated import MOST_REMEMBERED, Guesses
from tests.support.generated_server import at

if TYPE_CHECKING:
    from datetime import datetime


def test_row_has_the_time_of_the_row_before_it() -> None:
    """Amid a page and at its end a row was created no earlier, in a listing of rising times."""
    filled = Guesses().fill([at(1), None, at(3), None], [1, 2, 3, 4], None, Order.OLDEST_FIRST)
    assert filled == [at(1), at(1), at(3), at(3)]


def test_first_row_of_the_first_page_has_the_time_of_the_next_one() -> None:
    """There is nothing before it."""
    assert Guesses().fill([None, at(3)], [1, 2], at(9), Order.OLDEST_FIRST) == [at(3), at(3)]


@pytest.mark.parametrize(
    ("order", "before", "behind"),
    [(Order.OLDEST_FIRST, at(1), at(3)), (Order.NEWEST_FIRST, at(3), at(1))],
)
def test_row_that_begins_a_page_is_where_it_was_on_the_page_before(
    order: Order, before: datetime, behind: datetime
) -> None:
    """Else a page that begins with it would seem to have skipped rows, for ever."""
    guesses = Guesses()
    guesses.fill([before, None, behind], [1, 2, 3], None, order)
    filled = guesses.fill([None, behind], [2, 3], None, order)
    assert filled == [before, behind]


def test_guess_that_would_be_out_of_order_is_given_up() -> None:
    """The row that it was guessed by is gone, and an older one stands behind it."""
    guesses = Guesses()
    guesses.fill([at(5), None], [1, 2], None, Order.OLDEST_FIRST)
    assert guesses.fill([None, at(3)], [2, 3], None, Order.OLDEST_FIRST) == [at(3), at(3)]


def test_page_without_any_time_goes_on_from_the_page_before() -> None:
    """The server's time stands for it only where no page had any."""
    guesses = Guesses()
    assert guesses.fill([None], [1], at(9), Order.UNKNOWN) == [at(9)]
    guesses.note(at(4))
    assert guesses.fill([None, None], [2, 3], at(9), Order.UNKNOWN) == [at(4), at(4)]


def test_remembered_guesses_are_bounded() -> None:
    """A listing in which no row has a time costs no memory without end."""
    guesses = Guesses()
    rows = 1000
    for page in range(MOST_REMEMBERED // rows + 3):
        identities = range(page * rows, (page + 1) * rows)
        guesses.fill([None] * rows, identities, at(9), Order.OLDEST_FIRST)
    assert len(guesses._known) == MOST_REMEMBERED
