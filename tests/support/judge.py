"""The independent judge: what a topic holds, against what the account has shown.

It knows the published form (the record's members, its seal, its CloudEvents headers) and the
sandbox's ledger, and nothing else: it imports neither the product nor the sandbox, and reads with
librdkafka. A judge that shared code with the writer would share its mistakes.

The ledger has one line per environment, event and `deletedAt` that it was shown with; each must be
in the topic once, as revision 1, 2, … of the event in that environment.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SEAL: Final = re.compile(
    rb',"integrity":\{"previous":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}\}'
)
_SEAL_BYTES: Final = len(b',"integrity":{"previous":"","hash":""}}') + 2 * 64


class Message(NamedTuple):
    """One message of the audit topic, as it came."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Findings:
    """What is wrong; every list is empty where all is well.

    Attributes:
        lost: Shown by the account, and not in the topic.
        twice: In the topic more than once.
        foreign: In the topic, and never shown by the account.
        gaps: A sequence that does not rise by one, or an environment in two partitions.
        broken: A record that contradicts its seal, its predecessor, its headers or itself.
    """

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def flaws(self) -> list[str]:
        """Everything that is wrong, in one list."""
        return [*self.lost, *self.twice, *self.foreign, *self.gaps, *self.broken]


@dataclass(slots=True)
class _Environment:
    """One environment, as far as it was read."""

    partition: int
    head: bytes
    sequence: int = 0
    records: int = 0
    published: dict[str, list[str | None]] = field(default_factory=dict)
    """Of each event, the `deletedAt` of its records, in the order of the topic."""


class Judge:
    """Takes the messages of an audit topic, each partition in the order of its offsets.

    Attributes:
        records: How many messages it has taken.
    """

    def __init__(self) -> None:
        self.records = 0
        self._environments: dict[str, _Environment] = {}
        self._so_far = Findings()

    def has(self, environment: str, event_id: str) -> bool:
        """Whether an event of an environment is in the topic."""
        known = self._environments.get(environment)
        return known is not None and event_id in known.published

    def sequences(self) -> Mapping[str, int]:
        """The last sequence of each environment."""
        return {name: known.sequence for name, known in self._environments.items()}

    def take(self, message: Message) -> None:
        """Look at one message on its own and after its predecessors."""
        self.records += 1
        where = f"{message.partition}@{message.offset}"
        record = _parsed(message.value)
        if record is None or message.value is None:
            self._so_far.broken.append(f"{where}: no record")
            return
        try:
            name, event_id = str(record["environment"]["id"]), str(record["id"])
            sequence, revision = int(record["sequence"]), int(record["revision"])
        except (KeyError, TypeError, ValueError):
            self._so_far.broken.append(f"{where}: a record without its fixed members")
            return
        where = f"{where} {name}/{event_id}"
        known = self._environments.setdefault(
            name, _Environment(message.partition, hashlib.sha256(name.encode()).digest())
        )
        self._follow(where, known, message, sequence)
        self._hold_together(where, message, record, sequence, revision)
        revisions = known.published.setdefault(event_id, [])
        revisions.append((record.get("lifecycle") or {}).get("deletedAt"))
        if revision != len(revisions):
            self._so_far.twice.append(f"{where}: revision {revision} as number {len(revisions)}")

    def _follow(self, where: str, known: _Environment, message: Message, sequence: int) -> None:
        """Whether a record comes right after the one before it, in number and by hash."""
        if message.partition != known.partition:
            self._so_far.gaps.append(f"{where}: its environment is in {known.partition} as well")
        if sequence != known.sequence + 1:
            self._so_far.gaps.append(f"{where}: sequence {sequence} after {known.sequence}")
        known.sequence = sequence
        known.records += 1
        value = message.value or b""
        sealed = _SEAL.fullmatch(value[-_SEAL_BYTES:])
        if sealed is None:
            self._so_far.broken.append(f"{where}: no seal at its end")
            return
        previous, said = bytes.fromhex(sealed[1].decode()), bytes.fromhex(sealed[2].decode())
        if previous != known.head:
            self._so_far.broken.append(f"{where}: it follows another record than the one before")
        if hashlib.sha256(previous + value[:-_SEAL_BYTES]).digest() != said:
            self._so_far.broken.append(f"{where}: its hash is not that of its bytes")
        known.head = said

    def _hold_together(
        self, where: str, message: Message, record: Mapping[str, Any], sequence: int, revision: int
    ) -> None:
        """Whether key and headers say what the value says."""
        environment, event_id = record["environment"]["id"], record["id"]
        expected = {
            "ce_id": event_id if revision == 1 else f"{event_id}:{revision}",
            "ce_sequence": f"{sequence:019}",
            "ce_specversion": "1.0",
            "ce_partitionkey": environment,
            "ce_source": f"https://platform.flatfile.com/environments/{environment}",
            "content-type": "application/json",
        }
        headers = [(name, value.decode(errors="replace")) for name, value in message.headers]
        for name, value in expected.items():
            said = [content for key, content in headers if key == name]
            if said != [value]:
                self._so_far.broken.append(f"{where}: header {name} is {said}, not {value}")
        if message.key != environment.encode():
            self._so_far.broken.append(f"{where}: its key is {message.key!r}")
        if record.get("schema") != "flatfile.audit/1":
            self._so_far.broken.append(f"{where}: its schema is {record.get('schema')}")

    def findings(self, ledger: Iterable[Mapping[str, Any]]) -> Findings:
        """Hold what was read against everything that the account has shown."""
        found = Findings(**{name: list(getattr(self._so_far, name)) for name in Findings.__slots__})
        shown: dict[tuple[str, str], list[str | None]] = {}
        for line in ledger:
            event_id = line["id"] or f"sha256:{line['sha256']}"
            shown.setdefault((line["environment"], event_id), []).append(line["deletedAt"])
        for (environment, event_id), states in shown.items():
            known = self._environments.get(environment)
            published = known.published.get(event_id, []) if known else []
            where = f"{environment}/{event_id}"
            for state in states:
                times = published.count(state)
                if times == 0:
                    found.lost.append(f"{where} deletedAt {state}")
                elif times > 1:
                    found.twice.append(f"{where} deletedAt {state}: {times} times")
            found.foreign.extend(
                f"{where} deletedAt {state}" for state in published if state not in states
            )
        for environment, known in self._environments.items():
            found.foreign.extend(
                f"{environment}/{event_id}"
                for event_id in known.published
                if (environment, event_id) not in shown
            )
        return found


def _parsed(value: bytes | None) -> dict[str, Any] | None:
    try:
        record = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
