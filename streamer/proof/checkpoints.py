"""Holds the checkpoints against the records that they count.

A worker may be writing meanwhile. So checkpoints are read after the records, and then the records
that came since: whatever was read before the checkpoints must be counted by them, and whatever they
count must be there in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from streamer.audit.chain import Link, genesis
from streamer.proof.findings import Finding, Kind, Place, name_of
from streamer.proof.partitioning import partition_of
from streamer.proof.record import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from streamer.kafka.reader import Message
    from streamer.proof.stretch import Stretch

SHARD_KEY: Final = b"_shard"
"""Key of the message that says what a shard was begun with; no environment's."""


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """What a checkpoint says of the records before it."""

    schema: Literal["flatfile.checkpoint/1"]
    environment: Reference
    sequence: Annotated[int, Meta(ge=0)]
    head: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


_DECODE: Final = msgspec.json.Decoder(Checkpoint).decode


class _Noted(NamedTuple):
    """The newest checkpoint of an environment, and where it lies."""

    link: Link
    place: Place


class Checkpoints:
    """The newest checkpoint of each environment.

    Args:
        partitions: How many the topics have.
        whole: The audit partitions of which nothing was deleted.
        report: Is handed what does not hold.
    """

    def __init__(
        self, partitions: int, whole: Container[int], report: Callable[[Finding], None]
    ) -> None:
        self._partitions = partitions
        self._whole = whole
        self._report = report
        self._newest: dict[bytes, _Noted] = {}
        self._ahead: dict[bytes, _Noted] = {}

    def take(self, message: Message) -> None:
        """Take one message of the checkpoint topic; the last under a key counts."""
        key, value = message.key or b"", message.value
        place = Place.of(message)
        if key == SHARD_KEY:
            return
        if value is None:
            self._newest.pop(key, None)
            return
        try:
            found = _DECODE(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._say(Kind.CHECKPOINT, key, place, "it is no checkpoint of this version")
            return
        if found.environment.id.encode() != key:
            self._say(Kind.MISPLACED, key, place, f"it is that of {found.environment.id}")
        elif message.partition != (belongs := partition_of(key, self._partitions)):
            self._say(Kind.MISPLACED, key, place, f"it belongs into partition {belongs}")
        else:
            self._newest[key] = _Noted(Link(found.sequence, bytes.fromhex(found.head)), place)

    def compare(self, stretches: Mapping[bytes, Stretch], topic: str) -> None:
        """Hold them against the records that were read before them.

        Args:
            stretches: Those records.
            topic: The audit topic.
        """
        for key, stretch in stretches.items():
            if key not in self._newest and stretch.records:
                place = Place(topic, stretch.partition, stretch.offset)
                self._say(Kind.TORN, key, place, "there are records and no checkpoint")
        for key, noted in self._newest.items():
            known = stretches.get(key)
            if noted.link.sequence > (0 if known is None else known.highest):
                self._ahead[key] = noted
            elif known is None:
                self._compare_heads(key, noted, genesis(name_of(key)))
            elif noted.link.sequence < known.highest:
                what = (
                    f"it counts {noted.link.sequence} records, and there are {known.highest}: "
                    "the last ones were committed without their checkpoint"
                )
                self._say(Kind.TORN, key, noted.place, what)
            elif known.link.sequence == known.highest and not known.unread:
                self._compare_heads(key, noted, known.link)

    @property
    def are_awaited(self) -> bool:
        """Whether one of them counts records that have not been read."""
        return bool(self._ahead)

    def reached(self, key: bytes, link: Link) -> None:
        """Take note of a record that was read after the checkpoints."""
        noted = self._ahead.get(key)
        if noted is not None and link.sequence == noted.link.sequence:
            del self._ahead[key]
            self._compare_heads(key, noted, link)

    def finish(self, stretches: Mapping[bytes, Stretch]) -> None:
        """Say which of them count records that are not there."""
        for key, noted in self._ahead.items():
            known = stretches.get(key)
            if known is None and noted.place.partition not in self._whole:
                continue  # Everything that it counts was deleted by retention.
            last = 0 if known is None else known.highest
            unread = 0 if known is None else known.unread
            if noted.link.sequence > last + unread:
                what = f"it counts {noted.link.sequence} records, and the last one there is {last}"
                self._say(Kind.TORN, key, noted.place, what)

    def _compare_heads(self, key: bytes, noted: _Noted, link: Link) -> None:
        if noted.link.head != link.head:
            what = f"it names another hash than record {link.sequence} has"
            self._say(Kind.CHECKPOINT, key, noted.place, what)

    def _say(self, kind: Kind, key: bytes, place: Place, what: str) -> None:
        self._report(Finding(kind, name_of(key), place, what))
