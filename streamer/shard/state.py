"""The states of a shard's life, and which may follow which.

    assigned -> restoring -> running <-> draining -> stopped
                 ^     |        |           |
                 |     +------> fenced <----+
                 +-- after any failure, while the shard is still ours

`draining` ends in `running` again where the shard comes back at once after a rebalance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.telemetry.board import Board, ShardState

log = structlog.get_logger()

FOLLOWS: Final[Mapping[ShardState, frozenset[ShardState]]] = {
    "assigned": frozenset({"restoring", "stopped"}),
    "restoring": frozenset({"running", "fenced", "stopped"}),
    "running": frozenset({"draining", "fenced", "restoring", "stopped"}),
    "draining": frozenset({"running", "fenced", "restoring", "stopped"}),
    "fenced": frozenset({"restoring", "stopped"}),
    "stopped": frozenset(),
}
"""What may follow each state."""


class IllegalTransitionError(RuntimeError):
    """A state that cannot follow the one before: a bug, never something that happens to us."""


class StateMachine:
    """The state of one shard, shown on the board and in the log."""

    def __init__(self, shard: int, board: Board) -> None:
        self._shard = shard
        self._board = board
        self._state: ShardState = "assigned"
        board.shards[shard] = self._state

    @property
    def state(self) -> ShardState:
        """Where the shard is in its life."""
        return self._state

    def enter(self, state: ShardState) -> None:
        """Go on to a state; nothing happens if it is the present one.

        Raises:
            IllegalTransitionError: It cannot follow.
        """
        if state == self._state:
            return
        if state not in FOLLOWS[self._state]:
            message = f"shard {self._shard}: {state} cannot follow {self._state}"
            raise IllegalTransitionError(message)
        self._state = state
        self._board.shards[self._shard] = state
        log.info("shard.state_changed", shard=self._shard, state=state)
