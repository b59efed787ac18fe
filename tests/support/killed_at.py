"""`streamer run` that kills itself at one exact point of a transaction.

    python -m tests.support.killed_at POINT [--without-transactions]

Wraps the Kafka client and nothing of the product, which has no hook. One shard is first held where
its records are acknowledged and its checkpoint is not yet sent; then another one is let run into
POINT, and the process dies there: so every kill leaves one shard at POINT and one in the middle.

With `--without-transactions`, the control: the same program, the same order of writes, the same
points; but nothing holds records and checkpoint together. A restart then has only the checkpoint
to go by, so that it is made to believe it (ours would otherwise mend the damage from the records).
What the judge does not find after this, it would not find after the real thing either.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.transaction import EndTxnRequest
from typing_extensions import override

from streamer import cli
from streamer.kafka import transaction
from streamer.shard.restore import Restore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.kafka.reader import Message

STARTED: Final = "started"
"""Every producer of the worker has its id and epoch; nothing has been restored."""

BEFORE_CHECKPOINT: Final = "before_checkpoint"
"""The records are acknowledged, the checkpoint is not sent."""

BEFORE_COMMIT: Final = "before_commit"
"""The last message is handed over, the commit is not asked for."""

IN_COMMIT: Final = "in_commit"
"""EndTxn is on its way, its answer is not read."""

AFTER_COMMIT: Final = "after_commit"
"""The commit is answered; nobody has been told, nothing more was polled."""

NEVER: Final = "never"
"""A worker that lives: what a control is restarted with."""

POINTS: Final = (STARTED, BEFORE_CHECKPOINT, BEFORE_COMMIT, IN_COMMIT, AFTER_COMMIT)

WARM_UP: Final = 6
"""Transactions with records, of all shards, that pass before one is held."""


class _Moments:
    """Knows where each shard is, and ends the process at the right moment."""

    def __init__(self, point: str, shards: int) -> None:
        self._point = point
        self._shards = shards
        self._passed = 0
        self._held: str | None = None

    async def started(self) -> None:
        """A producer has its epoch: wait for the others, and die."""
        if self._point == STARTED:
            self._passed += 1
            if self._passed == self._shards:
                self._die()
            await asyncio.Event().wait()

    async def before_checkpoint(self, shard: str) -> None:
        """Hold the first shard that comes here after the warm-up."""
        self._passed += 1
        if self._point in {NEVER, STARTED} or self._passed <= WARM_UP:
            return
        if self._point == BEFORE_CHECKPOINT:
            self._die()
        if self._held is None:
            self._held = shard
            await asyncio.Event().wait()

    def reached(self, point: str, shard: str) -> None:
        """Die if this is where, and another shard is in the middle."""
        if point == self._point and self._held not in {None, shard}:
            self._die()

    def _die(self) -> NoReturn:
        os.write(1, f"killed at {self._point}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class _Watched(AIOKafkaProducer):
    """A producer that tells where it is."""

    moments: _Moments
    checkpoints: str

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as aiokafka's
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.shard: str = options["transactional_id"]
        self._has_records = False

    @override
    async def start(self) -> None:
        await super().start()  # type: ignore[no-untyped-call]
        await self.moments.started()

    @override
    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        if topic == self.checkpoints and self._has_records:
            await self.moments.before_checkpoint(self.shard)
        sending = super().send_batch(batch, topic, partition=partition)  # type: ignore[no-untyped-call]
        sent: asyncio.Future[Any] = await sending
        if topic != self.checkpoints:
            self._has_records = True
        elif self._has_records:
            self.moments.reached(BEFORE_COMMIT, self.shard)
        return sent

    @override
    async def commit_transaction(self) -> None:
        await self._commit()
        if self._has_records:
            self.moments.reached(AFTER_COMMIT, self.shard)
        self._has_records = False

    async def _commit(self) -> None:
        await super().commit_transaction()  # type: ignore[no-untyped-call]


class _Plain(_Watched):
    """The same, writing one message after another, with nothing that holds them together."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as aiokafka's
        shard = options["transactional_id"]
        super().__init__(**{**options, "transactional_id": None, "enable_idempotence": True})
        self.shard = shard
        client: Any = self.client
        send = client.send

        async def swallowing(node_id: int, request: object, **how: object) -> object:
            if isinstance(request, EndTxnRequest):
                return None
            return await send(node_id, request, **how)

        client.send = swallowing

    @override
    async def begin_transaction(self) -> None:
        return

    @override
    async def _commit(self) -> None:
        # Counted by the product, then swallowed.
        await self.client.send(0, EndTxnRequest(self.shard, 0, 0, True))  # noqa: FBT003
        if self._has_records:
            self.moments.reached(IN_COMMIT, self.shard)


def _watch_connections(moments: _Moments) -> None:
    send = AIOKafkaConnection.send

    def watched(self: Any, request: Any, expect_response: bool = True) -> Any:  # noqa: ANN401, FBT001, FBT002 - aiokafka's
        # It is written to the socket when this returns; the answer is a future.
        answer = send(self, request, expect_response)  # type: ignore[no-untyped-call]
        if isinstance(request, EndTxnRequest):
            moments.reached(IN_COMMIT, request._transactional_id)
        return answer

    AIOKafkaConnection.send = watched  # type: ignore[method-assign]


def _believe_checkpoints() -> None:
    """Let a restore overlook what lies behind a checkpoint, as if there were only checkpoints."""
    take = Restore._take_records

    def believing(self: Restore, chunk: Sequence[Message]) -> None:
        said = {
            key.encode(): standing.checkpoint.sequence
            for key, standing in self._standings.items()
            if standing.checkpoint is not None
        }
        take(self, [one for one in chunk if _sequence(one) <= said.get(one.key or b"", 0)])

    Restore._take_records = believing  # type: ignore[method-assign]


def _sequence(message: Message) -> int:
    return int(dict(message.headers)["ce_sequence"])


def main(point: str, *how: str) -> NoReturn:
    """Run the daemon with the client wrapped."""
    moments = _Moments(point, int(os.environ["STREAMER_KAFKA__PARTITIONS"]))
    _Watched.moments = moments
    _Watched.checkpoints = os.environ["STREAMER_KAFKA__TOPIC_PREFIX"] + ".checkpoints"
    producer: type[AIOKafkaProducer] = _Watched
    if "--without-transactions" in how:
        producer = _Plain
        _believe_checkpoints()
    _watch_connections(moments)
    vars(transaction)["AIOKafkaProducer"] = producer
    sys.exit(cli.call(["run"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
