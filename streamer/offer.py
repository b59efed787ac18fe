"""What an archiver hands its shard: records, dead letters and a checkpoint, committed at once.

No I/O. A capture that is too large for one transaction is split here; all its parts but the last
carry a checkpoint that stays where it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from streamer.audit.chain import Link, unseal
from streamer.audit.deadletter import TOO_LARGE
from streamer.kafka.transaction import Outgoing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from streamer.audit.encoder import Sealed
    from streamer.audit.normalize import Draft

PART_BYTES: Final = 4 * 1024 * 1024
"""A capture that is larger than this is committed in several parts; half of what one transaction
carries, so that parts of several environments share one."""

HEADER_BYTES: Final = 500
"""What a record's headers add to its size, roughly."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Records of one environment, sealed, beside the drafts that they were made of."""

    drafts: list[Draft]
    sealed: list[Sealed]

    @property
    def link(self) -> Link:
        """Where the chain stands after the last record."""
        last = self.sealed[-1]
        return Link(last.sequence, unseal(last.value).digest)

    def dead_letters(self) -> Iterator[tuple[str, int]]:
        """Reason and size of each event that became a dead letter."""
        for draft, one in zip(self.drafts, self.sealed, strict=True):
            if one.dead_letters:
                reason = TOO_LARGE if draft.broken is None else draft.broken.reason
                yield reason, sum(len(letter.value) for letter in one.dead_letters)


@dataclass(frozen=True, slots=True)
class Offer:
    """What one archiver wants committed together.

    Attributes:
        key: The environment's id, of every message.
        checkpoint: Makes the checkpoint, from the offset of the offer's first record (None without
            any) and the end of the audit partition.
        categories: Records by category, to be counted once they are committed.
    """

    key: bytes
    records: list[Outgoing]
    dead_letters: list[Outgoing]
    checkpoint: Callable[[int | None, int], bytes]
    categories: Counter[str]
    size_bytes: int


class Committer(Protocol):
    """Who commits what is offered: the shard."""

    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Hand over; done once committed, with the offset of the first record."""


def offer_of(key: bytes, encoded: Encoded, checkpoint: Callable[[int | None, int], bytes]) -> Offer:
    """Make an offer of records; of none, if only the checkpoint is to be written."""
    return Offer(
        key=key,
        records=[Outgoing(key, one.value, one.headers) for one in encoded.sealed],
        dead_letters=[
            Outgoing(key, letter.value, letter.headers)
            for one in encoded.sealed
            for letter in one.dead_letters
        ],
        checkpoint=checkpoint,
        categories=Counter([draft.topic.category for draft in encoded.drafts]),
        size_bytes=sum(map(_size, encoded.sealed)),
    )


def split(encoded: Encoded) -> list[Encoded]:
    """Cut records into parts of about `PART_BYTES`; nearly always there is one."""
    if sum(map(_size, encoded.sealed)) <= PART_BYTES:
        return [encoded]
    parts: list[Encoded] = [Encoded([], [])]
    size = 0
    for draft, one in zip(encoded.drafts, encoded.sealed, strict=True):
        if parts[-1].sealed and size + _size(one) > PART_BYTES:
            parts.append(Encoded([], []))
            size = 0
        parts[-1].drafts.append(draft)
        parts[-1].sealed.append(one)
        size += _size(one)
    return parts


def _size(one: Sealed) -> int:
    """About how many bytes a record and its dead letters take in a transaction."""
    letters = sum(len(letter.value) for letter in one.dead_letters)
    return len(one.value) + HEADER_BYTES + letters
