"""Group commit: what a shard's archivers have offered since the last commit, in one transaction.

Two transactions in a row cost 30 ms, whatever is in them, so small offers wait for each other up to
`GATHER_S`; a backlog does not wait. One offer is never split: its archiver cut it to size.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from streamer.kafka.transaction import Committed, Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.kafka.topics import Topics
    from streamer.kafka.transaction import TransactionalProducer
    from streamer.offer import Offer
    from streamer.telemetry.incidents import Incidents

GATHER_S: Final = 0.1
"""Seconds after the last commit until the next one, unless `EAGER_BYTES` wait."""

EAGER_BYTES: Final = 1024 * 1024
"""As much as this does not wait."""

TRANSACTION_BYTES: Final = 8 * 1024 * 1024
"""The most that one transaction carries, unless a single offer is larger. An open transaction holds
back every reader of the partition, so that it must be over in well under a second."""


class GroupCommits:
    """The one place from which a shard's producer is used."""

    def __init__(
        self,
        producer: TransactionalProducer,
        topics: Topics,
        *,
        shard: int,
        end: int,
        first: Sequence[Outgoing],
        incidents: Incidents,
    ) -> None:
        """Begin with nothing offered.

        Args:
            producer: Started, and ours alone.
            topics: Where things go.
            shard: Its number, for the log.
            end: The end of the audit partition, as restored.
            first: Messages for the checkpoint topic that go with the first transaction (the shard
                record of a new shard).
            incidents: Told of every commit.
        """
        self._producer = producer
        self._topics = topics
        self._shard = shard
        self._incidents = incidents
        self._first = list(first)
        self._end = end
        self._offers: deque[tuple[Offer, asyncio.Future[int | None]]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._eager = asyncio.Event()
        self._stopping = False

    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Hand over what must be committed together.

        Returns:
            Done once it is committed: the offset of the offer's first record, None without any.
            If the commit fails the future is cancelled: the shard starts over from the log.
        """
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._offers.append((offer, future))
        self._bytes += offer.size_bytes
        self._news.set()
        if self._bytes >= EAGER_BYTES:
            self._eager.set()
        return future

    async def run(self) -> None:
        """Commit what is offered until `stop`, never more than one transaction at a time.

        Raises:
            ShardLostError, CommitRefusedError, CommitUnknownError: From the producer, which must
                then be thrown away.
        """
        committed_at = float("-inf")
        try:
            if self._first:
                # At once, not with the first records: what a shard was begun with must be known
                # to whoever comes next, also if nothing ever happens in it.
                await self._commit([])
            while True:
                await self._news.wait()
                if self._stopping:
                    return
                await self._gather(committed_at + GATHER_S - time.monotonic())
                if self._stopping:
                    return
                await self._commit(self._take())
                committed_at = time.monotonic()
        finally:
            for _, future in self._offers:
                future.cancel()

    def stop(self) -> None:
        """Ask `run` to return once the running transaction has ended; what waits is dropped."""
        self._stopping = True
        self._news.set()
        self._eager.set()

    async def _gather(self, wait_s: float) -> None:
        if wait_s > 0 and not self._eager.is_set():
            try:
                async with asyncio.timeout(wait_s):
                    await self._eager.wait()
            except TimeoutError:
                return

    def _take(self) -> list[tuple[Offer, asyncio.Future[int | None]]]:
        taken = [self._offers.popleft()]
        size = taken[0][0].size_bytes
        while self._offers and size + self._offers[0][0].size_bytes <= TRANSACTION_BYTES:
            size += self._offers[0][0].size_bytes
            taken.append(self._offers.popleft())
        self._bytes -= size
        if not self._offers:
            self._news.clear()
        if self._bytes < EAGER_BYTES:
            self._eager.clear()
        return taken

    async def _commit(self, taken: Sequence[tuple[Offer, asyncio.Future[int | None]]]) -> None:
        audit = self._topics.audit.name
        messages: dict[str, list[Outgoing]] = {}
        starts = []
        for offer, _ in taken:
            starts.append(len(messages.get(audit, ())))
            for topic, own in (
                (audit, offer.records),
                (self._topics.dead_letters.name, offer.dead_letters),
                (self._topics.inventory.name, offer.inventory),
            ):
                if own:
                    messages.setdefault(topic, []).extend(own)
        firsts: list[int | None] = [None] * len(taken)

        def checkpoints(committed: Committed) -> Mapping[str, Sequence[Outgoing]]:
            end = self._end
            if audit in messages:
                end = committed.offset(audit, len(messages[audit]) - 1) + 1
                firsts[:] = [
                    committed.offset(audit, start) if offer.records else None
                    for (offer, _), start in zip(taken, starts, strict=True)
                ]
            self._end = end
            last = {
                offer.key: offer.checkpoint(first, end)
                for (offer, _), first in zip(taken, firsts, strict=True)
                if offer.checkpoint is not None
            }
            sent = [Outgoing(key, value) for key, value in last.items()]
            own = [*self._first, *sent]
            return {self._topics.checkpoints.name: own} if own else {}

        categories = sum((offer.categories for offer, _ in taken), Counter())
        try:
            with self._incidents.commit(
                shard=self._shard, environments=len(taken), categories=categories
            ):
                await self._producer.commit(messages, last=checkpoints)
        except BaseException:
            for _, future in taken:
                future.cancel()
            raise
        self._first.clear()
        for (_, future), first in zip(taken, firsts, strict=True):
            if not future.done():
                future.set_result(first)
