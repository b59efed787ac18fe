"""A shard's states follow each other as its life has them, and in no other way."""

from __future__ import annotations

from typing import get_args

import pytest

from streamer.shard.state import FOLLOWS, IllegalTransitionError, StateMachine
from streamer.telemetry.board import Board, ShardState


@pytest.mark.parametrize(
    "life",
    [
        ("restoring", "running", "draining", "stopped"),
        ("restoring", "running", "draining", "running", "fenced", "restoring", "running"),
        ("restoring", "fenced", "restoring", "stopped"),
        ("restoring", "running", "restoring", "running"),
    ],
)
def test_a_life_is_shown_on_the_board(life: tuple[ShardState, ...]) -> None:
    """Every state of a usual life is entered, and is what others see."""
    board = Board()
    machine = StateMachine(3, board)
    assert board.shards == {3: "assigned"}
    for state in life:
        machine.enter(state)
        assert board.shards == {3: state}
        assert machine.state == state


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("assigned", "running"),
        ("fenced", "running"),
        ("restoring", "draining"),
        ("fenced", "draining"),
        ("stopped", "restoring"),
    ],
)
def test_what_can_not_follow_is_a_bug(before: ShardState, after: ShardState) -> None:
    """Running without a restore, or coming back from the end, raises."""
    machine = StateMachine(0, Board())
    for state in _way_to(before):
        machine.enter(state)
    with pytest.raises(IllegalTransitionError, match=f"{after} cannot follow {before}"):
        machine.enter(after)
    assert machine.state == before


def test_every_state_can_be_reached_and_left() -> None:
    """Nothing but the end is a dead end, and nothing is unreachable."""
    states = set(get_args(ShardState))
    assert set(FOLLOWS) == states
    assert set().union(*FOLLOWS.values()) == states - {"assigned"}
    assert [state for state in states if not FOLLOWS[state]] == ["stopped"]
    assert all("stopped" in FOLLOWS[state] for state in states - {"stopped"})


def _way_to(state: ShardState) -> tuple[ShardState, ...]:
    ways: dict[ShardState, tuple[ShardState, ...]] = {
        "assigned": (),
        "restoring": ("restoring",),
        "fenced": ("restoring", "fenced"),
        "stopped": ("stopped",),
    }
    return ways[state]
