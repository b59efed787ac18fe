"""Group commit: what a shard's archivers have offered since the last commit, in one transaction.

Two transactions in a row cost 30 ms, whatever is in them, so small offers wait for each other up to
`GATHER_S`; a backlog does not wait. One offer is never split: its archiver cut it to size, by the
`terms` that hold at the moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from streamer.errors import CommitRefusedError
from streamer.kafka.transaction import Committed, Outgoing
from streamer.offer import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.kafka.topics import Topics
    from streamer.kafka.transaction import Message, TransactionalProducer
    from streamer.offer import Offer
    from streamer.shard.caution import Caution
    from streamer.shard.limits import Limits
    from streamer.telemetry.incidents import Incidents

    _Offered = tuple[Offer, asyncio.Future[int | None]]

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
        limits: Limits,
        caution: Caution,
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
            limits: What the topics take.
            caution: What was refused before, and told of what is refused now.
            incidents: Told of every commit.
        """
        self._producer = producer
        self._topics = topics
        self._shard = shard
        self._limits = limits
        self._caution = caution
        self._incidents = incidents
        self._first = list(first)
        self._end = end
        self._offers: deque[_Offered] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._eager = asyncio.Event()
        self._stopping = False
        self._is_over = False
        self._turn = asyncio.Lock()
        self._is_held = False

    def terms(self, key: bytes) -> Terms:
        """What an offer of this environment must keep to, as things stand."""
        return Terms(
            max_record_bytes=self._limits.max_record_bytes,
            most_records=self._caution.most_records(key),
            refused=self._caution.refused,
        )

    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Hand over what must be committed together.

        Returns:
            Done once it is committed: the offset of the offer's first record, None without any.
            If the commit fails the future is cancelled: the shard starts over from the log. So is
            that of an offer that comes too late: nobody would ever commit it.
        """
        loop = asyncio.get_running_loop()
        cut: list[_Offered] = [(part, loop.create_future()) for part in self._caution.cut(offer)]
        if self._is_over:
            cut[-1][1].cancel()
            return cut[-1][1]
        self._offers += cut
        self._bytes += sum(part.size_bytes for part, _ in cut)
        self._news.set()
        if self._bytes >= EAGER_BYTES:
            self._eager.set()
        return cut[-1][1]

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
                async with self._turn:
                    await self._commit([])
            while True:
                await self._news.wait()
                if self._stopping:
                    return
                await self._gather(committed_at + GATHER_S - time.monotonic())
                async with self._turn:
                    if self._stopping:
                        return
                    await self._commit(self._take())
                committed_at = time.monotonic()
        finally:
            self._is_over = True
            for _, future in self._offers:
                future.cancel()

    def stop(self) -> None:
        """Ask `run` to return once the running transaction has ended; what waits is dropped."""
        self._stopping = True
        self._news.set()
        self._eager.set()
        self.go_on()

    async def hold(self) -> None:
        """Return once no transaction runs; none begins before `go_on`, and offers wait."""
        await self._turn.acquire()
        self._is_held = True

    def go_on(self) -> None:
        """Commit again what was and is offered, if that was held."""
        if self._is_held:
            self._is_held = False
            self._turn.release()

    async def _gather(self, wait_s: float) -> None:
        if wait_s > 0 and not self._eager.is_set():
            try:
                async with asyncio.timeout(wait_s):
                    await self._eager.wait()
            except TimeoutError:
                return

    def _take(self) -> list[_Offered]:
        taken = [self._offers.popleft()]
        size = taken[0][0].size_bytes
        is_alone = self._caution.is_alone
        while self._offers and not is_alone(taken[0][0]) and not is_alone(self._offers[0][0]):
            if size + self._offers[0][0].size_bytes > TRANSACTION_BYTES:
                break
            size += self._offers[0][0].size_bytes
            taken.append(self._offers.popleft())
        self._bytes -= size
        if not self._offers:
            self._news.clear()
        if self._bytes < EAGER_BYTES:
            self._eager.clear()
        return taken

    async def _commit(self, taken: Sequence[_Offered]) -> None:
        topics, offers = self._topics, [offer for offer, _ in taken]
        records = [one for offer in offers for one in offer.records]
        messages: Mapping[str, Sequence[Message]] = {
            topics.audit.name: records,
            topics.dead_letters.name: [one for offer in offers for one in offer.dead_letters],
            topics.inventory.name: [one for offer in offers for one in offer.inventory],
        }
        starts = [0, *accumulate(len(offer.records) for offer in offers)]
        firsts: list[int | None] = [None] * len(offers)

        def checkpoints(committed: Committed) -> Mapping[str, Sequence[Outgoing]]:
            audit = topics.audit.name
            if records:
                self._end = committed.offset(audit, len(records) - 1) + 1
                firsts[:] = [
                    committed.offset(audit, start) if offer.records else None
                    for offer, start in zip(offers, starts, strict=False)
                ]
            own = [*self._first, *_checkpoints(offers, firsts, self._end)]
            return {topics.checkpoints.name: own}

        categories = sum((offer.categories for offer in offers), Counter())
        try:
            with self._incidents.commit(
                shard=self._shard, environments=len(offers), categories=categories
            ):
                await self._producer.commit(messages, last=checkpoints)
        except BaseException as error:
            for _, future in taken:
                future.cancel()
            if isinstance(error, CommitRefusedError) and error.topic != topics.checkpoints.name:
                error.is_narrowed = self._caution.narrow(offers)
            raise
        self._first.clear()
        for (offer, future), first in zip(taken, firsts, strict=True):
            self._caution.accepted(offer)
            if not future.done():
                future.set_result(first)


def _checkpoints(
    offers: Sequence[Offer], firsts: Sequence[int | None], end: int
) -> Sequence[Outgoing]:
    """Return the last checkpoint of each environment."""
    last = {
        offer.key: offer.checkpoint(first, end)
        for offer, first in zip(offers, firsts, strict=True)
        if offer.checkpoint is not None
    }
    return [Outgoing(key, value) for key, value in last.items()]
