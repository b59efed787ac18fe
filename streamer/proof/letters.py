"""Holds the dead letters against the stubs that stand for them in the chain.

Only digests are kept: the parts of a dead letter follow each other, and are hashed as they come.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.proof.findings import Finding, Kind, Place, name_of
from streamer.proof.partitioning import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from streamer.kafka.reader import Message
    from streamer.proof.record import Omitted
    from streamer.proof.stretch import Stretch

_MOST_DIGITS: Final = 18
"""Of a number in a header: as many as 64 bits hold."""


class _Stub(NamedTuple):
    """What stands in the audit topic, and where."""

    omitted: Omitted
    place: Place


class _Letter:
    """A dead letter, as far as its parts have come."""

    def __init__(self, message: Message, headers: Mapping[str, bytes]) -> None:
        self.place = Place.of(message)
        self.parts = _number(headers, "parts")
        self.said = {name: headers.get(name, b"") for name in ("sha256", "hmac_sha256")}
        self.came = 0
        self.bytes = 0
        self._hashed = sha256()

    def add(self, number: int, value: bytes) -> bool:
        """Take the next part; False if it is not the next."""
        if number != self.came + 1 or number > self.parts:
            return False
        self.came = number
        self.bytes += len(value)
        self._hashed.update(value)
        return True

    def differs_from(self, omitted: Omitted) -> bool:
        """Whether these are certainly not the bytes that a stub names."""
        digest = self._hashed.hexdigest()
        said = {
            "sha256": (omitted.sha256 or "").encode(),
            "hmac_sha256": (omitted.hmac_sha256 or "").encode(),
        }
        is_another = omitted.sha256 is not None and omitted.sha256 != digest
        return is_another or self.bytes != omitted.bytes or self.said != said


class DeadLetters:
    """The dead letters and the stubs of a deployment.

    Args:
        partitions: How many the topics have.
        whole: The partitions of the dead letters of which nothing was deleted.
        report: Is handed what does not hold.
    """

    def __init__(
        self, partitions: int, whole: Container[int], report: Callable[[Finding], None]
    ) -> None:
        self._partitions = partitions
        self._whole = whole
        self._report = report
        self._stubs: dict[tuple[bytes, int], _Stub] = {}
        self._letters: dict[tuple[bytes, int], _Letter] = {}

    def expect(self, message: Message, sequence: int, omitted: Omitted) -> None:
        """Take note of a stub in the audit topic."""
        self._stubs[message.key or b"", sequence] = _Stub(omitted, Place.of(message))

    def take(self, message: Message) -> None:
        """Take one message of the dead-letter topic."""
        headers = {name: value or b"" for name, value in message.headers}
        sequence, number = _number(headers, "sequence"), _number(headers, "part")
        key, place = message.key or b"", Place.of(message)
        if not (sequence and number and _number(headers, "parts")):
            self._say(Kind.DEAD_LETTER, key, place, "it is no dead letter")
            return
        if headers.get("environment") != key:
            self._say(Kind.MISPLACED, key, place, "its key is not its environment")
            return
        if message.partition != (belongs := partition_of(key, self._partitions)):
            self._say(Kind.MISPLACED, key, place, f"it belongs into partition {belongs}")
            return
        letter = self._letters.get((key, sequence))
        if letter is None:
            if number > 1 and message.partition not in self._whole:
                return  # Retention deletes without regard to where one begins.
            letter = self._letters[key, sequence] = _Letter(message, headers)
        if not letter.add(number, message.value or b""):
            what = f"part {number} of sequence {sequence} comes after part {letter.came}"
            self._say(Kind.DEAD_LETTER, key, place, what)

    def finish(self, stretches: Mapping[bytes, Stretch]) -> None:
        """Say what does not belong together.

        Args:
            stretches: The records that were read.
        """
        oldest: dict[bytes, int] = {}
        for key, sequence in self._letters:
            oldest[key] = min(sequence, oldest.get(key, sequence))
        for (key, sequence), stub in self._stubs.items():
            letter = self._letters.get((key, sequence))
            if letter is not None:
                self._compare(key, sequence, letter, stub.omitted)
            elif stub.place.partition in self._whole or sequence > oldest.get(key, sequence):
                what = f"sequence {sequence} is a stub, and its dead letter is not there"
                self._say(Kind.DEAD_LETTER, key, stub.place, what)
        for (key, sequence), letter in self._letters.items():
            known = stretches.get(key)
            is_read = known is not None and known.first <= sequence <= known.highest
            if is_read and (key, sequence) not in self._stubs:
                what = f"record {sequence}, which it names, is no stub"
                self._say(Kind.DEAD_LETTER, key, letter.place, what)

    def _compare(self, key: bytes, sequence: int, letter: _Letter, omitted: Omitted) -> None:
        if letter.came < letter.parts:
            what = f"of {letter.parts} parts of sequence {sequence} only {letter.came} are there"
            self._say(Kind.DEAD_LETTER, key, letter.place, what)
        elif letter.differs_from(omitted):
            what = f"these are not the bytes that the stub, record {sequence}, names"
            self._say(Kind.DEAD_LETTER, key, letter.place, what)

    def _say(self, kind: Kind, key: bytes, place: Place, what: str) -> None:
        self._report(Finding(kind, name_of(key), place, what))


def _number(headers: Mapping[str, bytes], name: str) -> int:
    """Return the number that a header holds; 0 if there is none."""
    text = headers.get(name, b"")
    return int(text) if text.isdigit() and len(text) <= _MOST_DIGITS else 0
