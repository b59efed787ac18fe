"""What a shard is handed: records, dead letters, a checkpoint, inventory, committed at once.

No I/O. A capture that is too large for one transaction is split here; all its parts but the last
carry a checkpoint that stays where it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from streamer.audit.chain import Link, unseal
from streamer.kafka.transaction import Outgoing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Container, Sequence

    from streamer.audit.encoder import Sealed
    from streamer.audit.normalize import Draft
    from streamer.kafka.transaction import Message

PART_BYTES: Final = 4 * 1024 * 1024
"""A capture that is larger than this is committed in several parts; half of what one transaction
carries, so that parts of several environments share one."""

HEADER_BYTES: Final = 500
"""What a record's headers add to its size, roughly."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Records of one environment, sealed.

    The drafts that they were made of are not kept: a page would otherwise be held twice.

    Attributes:
        categories: Records by category.
        size_bytes: About how much they and their dead letters take in a transaction.
    """

    sealed: list[Sealed]
    categories: Counter[str]
    size_bytes: int

    @classmethod
    def of(cls, drafts: list[Draft], sealed: list[Sealed]) -> Encoded:
        """Take what is needed of the drafts, beside the records that they became."""
        return cls(sealed, Counter([draft.topic.category for draft in drafts]), _size(sealed))

    @property
    def dead_letters(self) -> list[tuple[str, int]]:
        """Reason and size of each event that became a dead letter."""
        return [
            (one.dead_letters[0].reason, sum(len(letter.value) for letter in one.dead_letters))
            for one in self.sealed
            if one.dead_letters
        ]

    @property
    def link(self) -> Link:
        """Where the chain stands after the last record."""
        last = self.sealed[-1]
        return Link(last.sequence, unseal(last.value).digest)


@dataclass(frozen=True, slots=True)
class Offer:
    """What one archiver, or the inventory, wants committed together.

    Attributes:
        key: The environment's id: of records, dead letters and checkpoint.
        checkpoint: Makes the checkpoint, from the offset of the offer's first record (None without
            any) and the end of the audit partition. None: no checkpoint is written.
        inventory: Objects and tombstones, each under a key of its own.
        categories: Records by category, to be counted once they are committed.
    """

    key: bytes
    records: Sequence[Message] = ()
    dead_letters: Sequence[Outgoing] = ()
    checkpoint: Callable[[int | None, int], bytes] | None = None
    inventory: Sequence[Outgoing] = ()
    categories: Counter[str] = field(default_factory=Counter)
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What an offer must keep to.

    Attributes:
        max_record_bytes: What the broker takes in one batch.
        most_records: How many records an offer may have; None: as many as `PART_BYTES` hold. Fewer
            where the broker refused something among them, until it is found.
        refused: Ids of events that the broker refused: stubs go in their place.
    """

    max_record_bytes: int
    most_records: int | None = None
    refused: Container[str] = ()


class Committer(Protocol):
    """Who commits what is offered: the shard."""

    def terms(self, key: bytes) -> Terms:
        """What an offer of this environment must keep to, as things stand."""

    def offer(self, offer: Offer) -> asyncio.Future[int | None]:
        """Hand over; done once committed, with the offset of the first record."""


def offer_of(
    key: bytes, encoded: Encoded | None, checkpoint: Callable[[int | None, int], bytes]
) -> Offer:
    """Make an offer of records; of none, if only the checkpoint is to be written."""
    if encoded is None:
        return Offer(key, checkpoint=checkpoint)
    letters = [letter for one in encoded.sealed if one.dead_letters for letter in one.dead_letters]
    return Offer(
        key=key,
        records=encoded.sealed,
        dead_letters=[Outgoing(key, letter.value, letter.headers) for letter in letters],
        checkpoint=checkpoint,
        categories=encoded.categories,
        size_bytes=encoded.size_bytes,
    )


def offer_of_inventory(key: bytes, objects: Sequence[Outgoing]) -> Offer:
    """Make an offer of inventory alone.

    Args:
        key: Whose objects they are: an environment's id, or what stands for the account.
        objects: At most about `PART_BYTES` of them: an offer is never split.
    """
    size_bytes = sum([len(one.key) + len(one.value or b"") for one in objects])
    return Offer(key, inventory=objects, size_bytes=size_bytes)


def split(encoded: Encoded, most_records: int | None = None) -> list[Encoded]:
    """Cut records into parts of about `PART_BYTES`; nearly always there is one.

    What is counted is counted with the last part.

    Args:
        encoded: Records of one capture.
        most_records: How many may be in a part; None: as many as its bytes allow.
    """
    most = most_records or len(encoded.sealed)
    if encoded.size_bytes <= PART_BYTES and len(encoded.sealed) <= most:
        return [encoded]
    parts: list[list[Sealed]] = [[]]
    size = 0
    for one in encoded.sealed:
        own = _size([one])
        if parts[-1] and (size + own > PART_BYTES or len(parts[-1]) == most):
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += own
    early = [Encoded(part, Counter(), _size(part)) for part in parts[:-1]]
    return [*early, Encoded(parts[-1], encoded.categories, _size(parts[-1]))]


def _size(sealed: list[Sealed]) -> int:
    """About how many bytes records and their dead letters take in a transaction."""
    dead = [len(letter.value) for one in sealed if one.dead_letters for letter in one.dead_letters]
    return sum([len(one.value) for one in sealed]) + HEADER_BYTES * len(sealed) + sum(dead)
