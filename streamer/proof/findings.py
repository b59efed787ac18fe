"""What a verification can find: a kind for each way in which a topic can break its promises."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.kafka.reader import Message

DESCRIBED_AT_MOST: Final = 1000
"""So many findings are described; all are counted. Memory is bounded, whatever a topic holds."""


class Kind(StrEnum):
    """What is wrong, for whoever acts on it or counts it."""

    GAP = "gap"
    REORDERED = "reordered"
    DUPLICATE = "duplicate"
    ALTERED = "altered"
    UNLINKED = "unlinked"
    UNREADABLE = "unreadable"
    MISPLACED = "misplaced"
    HEADERS = "headers"
    TORN = "torn"
    CHECKPOINT = "checkpoint"
    DEAD_LETTER = "dead-letter"


class Meaning(NamedTuple):
    """A kind in words, and what to do about it."""

    what: str
    next_step: str


_TAMPERED: Final = (
    "Somebody may have tampered: look up who may write to the topic and to the broker's disks, and "
    "compare with a copy."
)
_FAULT: Final = "A fault of streamer: stop it, keep the topic, and report it."

MEANINGS: Final = {
    Kind.GAP: Meaning(
        "Numbers are missing between two records, or before the first although nothing was "
        "deleted by retention.",
        _TAMPERED,
    ),
    Kind.REORDERED: Meaning("A record stands behind one with a higher number.", _TAMPERED),
    Kind.DUPLICATE: Meaning("An event, or a number, is there a second time.", _FAULT),
    Kind.ALTERED: Meaning("The bytes of a record are not those that were hashed.", _TAMPERED),
    Kind.UNLINKED: Meaning(
        "A record has the right number, and names another predecessor than the one before it: "
        "one of the two was replaced.",
        _TAMPERED,
    ),
    Kind.UNREADABLE: Meaning(
        "It is no audit record.", "Find out who else writes to the topic, and stop that."
    ),
    Kind.MISPLACED: Meaning(
        "Key, environment and partition do not belong together.",
        "Was the partition count changed? Kafka cannot take that back: use another prefix. "
        "If not, find out who else writes to the topic.",
    ),
    Kind.HEADERS: Meaning("The headers do not say what the record says.", _TAMPERED),
    Kind.TORN: Meaning(
        "The last records have no checkpoint that counts them, or a checkpoint counts records "
        "which are not there.",
        "Records too many: half a transaction; the worker that takes the shard over mends it. "
        "Records too few: the end was cut off. " + _TAMPERED,
    ),
    Kind.CHECKPOINT: Meaning(
        "A checkpoint cannot be read, or names another hash than the record it counts to.",
        _TAMPERED,
    ),
    Kind.DEAD_LETTER: Meaning(
        "A stub without its dead letter, a dead letter without its stub, or other bytes than the "
        "stub names.",
        _TAMPERED,
    ),
}


class Place(NamedTuple):
    """Where a message lies."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, message: Message) -> Place:
        """Return where this one does."""
        return cls(message.topic, message.partition, message.offset)


class Finding(NamedTuple):
    """Something that does not hold.

    Attributes:
        environment: The environment's id: the key of the message.
        what: In words.
    """

    kind: Kind
    environment: str
    place: Place
    what: str


class Findings:
    """Collects them: all are counted, the first are described."""

    def __init__(self) -> None:
        self.counts: Counter[Kind] = Counter()
        self._described: list[Finding] = []

    @property
    def described(self) -> Sequence[Finding]:
        """The first of them, in the order in which they were found."""
        return self._described

    def add(self, finding: Finding) -> None:
        """Take one in."""
        self.counts[finding.kind] += 1
        if len(self._described) < DESCRIBED_AT_MOST:
            self._described.append(finding)

    def include(self, others: Findings) -> None:
        """Take in what others have collected."""
        self.counts += others.counts
        self._described += others.described[: DESCRIBED_AT_MOST - len(self._described)]


def name_of(key: bytes | None) -> str:
    """Return a key as text: the id of an environment, or whatever somebody wrote there."""
    return (key or b"").decode("utf-8", "backslashreplace")
