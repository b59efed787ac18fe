"""Holds what was published against what it promises.

Pure: it is handed messages, in this order: the records, the checkpoints, the records that came
meanwhile, the dead letters. It knows nothing of how a record came about, and shares with the writer
only the form of the chain, so that a mistake of the writer cannot hide itself.

Memory grows with the environments, with the dead letters, and by some 24 bytes a record: the price
of finding an event that is there twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamer.audit import chain
from streamer.proof.checkpoints import Checkpoints
from streamer.proof.findings import Finding, Findings, Kind, Place, name_of
from streamer.proof.headers import contradictions
from streamer.proof.identities import Identities
from streamer.proof.letters import DeadLetters
from streamer.proof.outcome import Outcome
from streamer.proof.partitioning import partition_of
from streamer.proof.record import UnreadableError, read
from streamer.proof.stretch import Stretch

if TYPE_CHECKING:
    from collections.abc import Collection

    from streamer.kafka.reader import Message
    from streamer.proof.record import Record

_NOT_OURS: Final = "it does not end in a seal: it was cut, altered there, or is no audit record"


class Verifier:
    """Takes the messages of a deployment's topics, each partition's in the order of their offsets.

    Args:
        topic: The audit topic.
        partitions: How many it and the others have.
        whole: Its partitions of which nothing was deleted.
        whole_letters: Likewise of the dead letters.
    """

    def __init__(
        self,
        topic: str,
        partitions: int,
        *,
        whole: Collection[int],
        whole_letters: Collection[int],
    ) -> None:
        self._records = 0
        self._findings = Findings()
        self._topic = topic
        self._partitions = partitions
        self._whole = whole
        self._stretches: dict[bytes, Stretch] = {}
        self._identities = Identities()
        self._checkpoints = Checkpoints(partitions, whole, self._findings.add)
        self._letters = DeadLetters(partitions, whole_letters, self._findings.add)

    def take(self, message: Message) -> None:
        """Take one message of the audit topic, exactly as it lies there."""
        self._records += 1
        key, value = message.key or b"", message.value or b""
        stretch = self._stretches.get(key)
        if stretch is None or stretch.partition != message.partition:
            belongs = partition_of(key, self._partitions)
            if belongs != message.partition:
                self._say(Kind.MISPLACED, message, f"it belongs into partition {belongs}")
                return
            stretch = self._begin(key, belongs)
        previous = stretch.link.head
        digest = chain.next_digest(value, previous)
        if digest is None:
            # It does not simply continue the chain: then what does it say itself?
            seal = self._unsealed(stretch, message)
            if seal is None:
                return
            previous, digest = seal.previous, seal.digest
        try:
            record = read(value)
        except UnreadableError:
            self._pass_over(stretch, Kind.UNREADABLE, message, "it is no audit record, version 1")
            return
        if record.environment.id != stretch.environment:
            what = f"its key is not its environment, {record.environment.id}"
            self._say(Kind.MISPLACED, message, what)
            return
        self._follow(stretch, record, chain.Link(record.sequence, digest), previous, message)

    def take_checkpoint(self, message: Message) -> None:
        """Take one message of the checkpoint topic."""
        self._checkpoints.take(message)

    def compare(self) -> None:
        """Hold the checkpoints, of which all were taken, against the records taken before them."""
        self._checkpoints.compare(self._stretches, self._topic)

    def take_dead_letter(self, message: Message) -> None:
        """Take one message of the dead-letter topic."""
        self._letters.take(message)

    def finish(self) -> Outcome:
        """Everything was taken: find what is missing, and say what has come of it all."""
        for stretch in self._stretches.values():
            for wrong in stretch.gaps():
                place = Place(self._topic, stretch.partition, wrong.offset)
                self._findings.add(Finding(wrong.kind, stretch.environment, place, wrong.what))
        self._checkpoints.finish(self._stretches)
        self._letters.finish(self._stretches)
        return Outcome(
            records=self._records,
            findings=self._findings,
            environments={one.environment: one for one in self._stretches.values() if one.records},
        )

    def _begin(self, key: bytes, partition: int) -> Stretch:
        is_whole = partition in self._whole
        stretch = Stretch(name_of(key), partition, is_whole=is_whole)
        self._stretches[key] = stretch
        return stretch

    def _unsealed(self, stretch: Stretch, message: Message) -> chain.Seal | None:
        """What a message says of itself; None, and reported, if it is not to be believed."""
        try:
            seal = chain.unseal(message.value or b"")
        except chain.UnsealedError:
            self._pass_over(stretch, Kind.UNREADABLE, message, _NOT_OURS)
            return None
        if not seal.holds():
            self._pass_over(stretch, Kind.ALTERED, message, "its hash is not that of its bytes")
            return None
        return seal

    def _follow(
        self,
        stretch: Stretch,
        record: Record,
        link: chain.Link,
        previous: bytes,
        message: Message,
    ) -> None:
        wrong = stretch.follow(link, previous, message.offset)
        stretch.times.take(record.observed, record.at)
        is_new = self._identities.add(message.key, record.revision, record.id)
        if not is_new:
            what = f"{record.id}, revision {record.revision}, is there twice"
            self._say(Kind.DUPLICATE, message, what)
        for kind, what, offset in wrong:
            if kind is not Kind.DUPLICATE or is_new:
                place = Place(message.topic, message.partition, offset)
                self._findings.add(Finding(kind, record.environment.id, place, what))
        for what in contradictions(record, message.headers):
            self._say(Kind.HEADERS, message, what)
        if record.payload_omitted is not None:
            self._letters.expect(message, record.sequence, record.payload_omitted)
        if self._checkpoints.are_awaited:
            self._checkpoints.reached(message.key or b"", link)

    def _pass_over(self, stretch: Stretch, kind: Kind, message: Message, what: str) -> None:
        """Report a message that is not followed, and that may be one of those that are missing."""
        stretch.unread += 1
        self._say(kind, message, what)

    def _say(self, kind: Kind, message: Message, what: str) -> None:
        place = Place.of(message)
        self._findings.add(Finding(kind, name_of(message.key), place, what))
