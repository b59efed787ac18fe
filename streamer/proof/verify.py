"""Holds published records against what they promise: sequence, hash chain, and no event twice.

Pure: it is handed messages and keeps no more than a digest of each. It knows nothing of how a
record came about, and shares with the writer only the form of the chain, so that a mistake of the
writer cannot hide itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit import chain
from streamer.audit.record import NoRecordError, restore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamer.audit.chain import Link
    from streamer.audit.record import Restored

FINDINGS_AT_MOST: Final = 1000
"""So many are described; all are counted. One early gap can make many records wrong."""

_ID_BYTES: Final = 16
"""Of the digest of a record id that is kept: a million ids collide once in 10^26 topics."""


class Finding(NamedTuple):
    """Something that does not hold.

    Attributes:
        environment: The environment's id: the key of the message.
        offset: Of the message in its partition.
        what: In words.
    """

    environment: str
    offset: int
    what: str


@dataclass(slots=True)
class _Chain:
    link: Link
    offset: int = -1
    ids: set[bytes] = field(default_factory=set)


class Verifier:
    """Takes the messages of an audit topic, each partition's in the order of their offsets.

    Attributes:
        records: How many were taken.
        failures: How many things do not hold.
        findings: The first of them, described.
    """

    def __init__(self) -> None:
        self.records = 0
        self.failures = 0
        self._findings: list[Finding] = []
        self._chains: dict[str, _Chain] = {}

    @property
    def findings(self) -> Sequence[Finding]:
        """What does not hold, in the order in which it was found."""
        return self._findings

    @property
    def environments(self) -> Mapping[str, Link]:
        """Where the chain of each environment ends."""
        return {environment: each.link for environment, each in self._chains.items()}

    def add(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Take one message, exactly as it lies in the topic."""
        self.records += 1
        environment = (key or b"").decode("utf-8", "backslashreplace")
        try:
            record = restore(value or b"")
        except NoRecordError:
            self._report(environment, offset, "it is no audit record")
            return
        found = self._chains.get(environment)
        if found is None:
            found = self._chains[environment] = _Chain(chain.genesis(environment))
        for what in _wrong(environment, record, value or b"", found, offset):
            self._report(environment, offset, what)
        # What follows is held against this record, so that one fault is reported once.
        found.link = chain.Link(record.sequence, record.digest)
        found.offset = offset
        found.ids.add(_identity(record))

    def _report(self, environment: str, offset: int, what: str) -> None:
        self.failures += 1
        if len(self._findings) < FINDINGS_AT_MOST:
            self._findings.append(Finding(environment, offset, what))


def _wrong(
    environment: str, record: Restored, value: bytes, found: _Chain, offset: int
) -> list[str]:
    wrong = []
    if record.environment.id != environment:
        wrong.append(f"its key is not its environment, {record.environment.id}")
    if record.sequence != found.link.sequence + 1:
        wrong.append(f"after sequence {found.link.sequence} comes {record.sequence}")
    elif record.previous != found.link.head:
        wrong.append(f"sequence {record.sequence} does not name the hash of the record before it")
    if not chain.unseal(value).holds():
        wrong.append(f"sequence {record.sequence} was altered: its hash is another")
    if offset <= found.offset:
        wrong.append(f"sequence {record.sequence} does not lie behind the one before it")
    if _identity(record) in found.ids:
        wrong.append(f"{record.id}, revision {record.revision}, is there twice")
    return wrong


def _identity(record: Restored) -> bytes:
    return sha256(f"{record.revision}:{record.id}".encode("utf-8", "surrogatepass")).digest()[
        :_ID_BYTES
    ]
