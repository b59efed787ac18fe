"""`streamer run` that stops itself (SIGSTOP) at one exact point of a shard's life.

    python -m tests.support.zombie_at POINT

A point is a state that a shard enters, or one of a transaction. Whoever started it lets it go on
(SIGCONT): it then believes for a while that nothing has happened. Wraps the board and the Kafka
client, and nothing else of the product, which has no hook.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Final, NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.transaction import EndTxnRequest
from typing_extensions import override

from streamer import cli
from streamer.kafka import transaction
from streamer.telemetry import board

STATES: Final = ("restoring", "running", "draining", "fenced")

BEFORE_COMMIT: Final = "before_commit"
"""Records and checkpoint are acknowledged, the commit is not asked for."""

IN_COMMIT: Final = "in_commit"
"""EndTxn is on its way, its answer is not read."""

POINTS: Final = (*STATES, BEFORE_COMMIT, IN_COMMIT)

WARM_UP: Final = 8
"""Commits before one is stopped at: those of new shards are no captures."""


class _Moments:
    """Stops the process once, where it was told to."""

    def __init__(self, point: str) -> None:
        self._point = point
        self._commits = 0

    def reached(self, point: str) -> None:
        """Stop here, the first time, if this is where."""
        self._commits += point == BEFORE_COMMIT
        if point != self._point or (point not in STATES and self._commits < WARM_UP):
            return
        self._point = ""
        os.write(1, f"stopped at {point}\n".encode())
        os.kill(os.getpid(), signal.SIGSTOP)


def main(point: str) -> NoReturn:
    """Run the daemon with the board and the client wrapped."""
    moments = _Moments(point)

    class Shown(dict[int, Any]):
        @override
        def __setitem__(self, shard: int, state: Any) -> None:
            super().__setitem__(shard, state)
            moments.reached(str(state))

    class Watched(AIOKafkaProducer):
        @override
        async def commit_transaction(self) -> None:
            moments.reached(BEFORE_COMMIT)
            await super().commit_transaction()  # type: ignore[no-untyped-call]

    made, send = board.Board.__init__, AIOKafkaConnection.send

    def making(self: board.Board) -> None:
        made(self)
        self.shards = Shown()

    def sending(self: Any, request: Any, expect_response: bool = True) -> Any:  # noqa: ANN401, FBT001, FBT002 - aiokafka's
        # It is written to the socket when this returns; the answer is a future.
        answer = send(self, request, expect_response)  # type: ignore[no-untyped-call]
        if isinstance(request, EndTxnRequest):
            moments.reached(IN_COMMIT)
        return answer

    board.Board.__init__ = making  # type: ignore[method-assign]
    AIOKafkaConnection.send = sending  # type: ignore[method-assign]
    vars(transaction)["AIOKafkaProducer"] = Watched
    sys.exit(cli.call(["run"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
