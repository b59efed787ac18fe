"""Dead letters as they are found in their topic: what their headers say, and their parts together.

Headers are hostile, too: they hold ids and reasons, and anyone who may write to the topic can write
others. A message that does not have ours is no dead letter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from streamer.kafka.reader import LogReader, Message

MOST_DIGITS: Final = 18
"""Of a number in a header: as many as 64 bits hold."""


class LetterKey(NamedTuple):
    """What the parts of one dead letter have in common, and no other has."""

    partition: int
    environment: str
    sequence: int


class Part(NamedTuple):
    """One message of the topic.

    Attributes:
        number: From 1 to `parts`.
        digest: Name and value of the digest of all parts together, if there is one.
    """

    key: LetterKey
    id: str
    revision: int
    reason: str
    observed: str
    number: int
    parts: int
    digest: tuple[str, str] | None


@dataclass(slots=True)
class Letter:
    """A dead letter, as far as its parts have been read.

    Attributes:
        part: The first part that was read.
        offset: Of that part.
        size_bytes: Of all parts.
        values: The parts' bytes by number, where they were asked for.
    """

    part: Part
    offset: int
    appended_ms: int
    size_bytes: int = 0
    numbers: set[int] = field(default_factory=set)
    values: dict[int, bytes] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it lies: partition and offset."""
        return f"{self.part.key.partition}/{self.offset}"

    @property
    def missing(self) -> list[int]:
        """The numbers of parts that were not found; at most the first few."""
        found, wanted = self.numbers, self.part.parts
        return [n for n in range(1, min(wanted, len(found) + 10) + 1) if n not in found]

    @property
    def raw(self) -> bytes:
        """All parts that were found, put together."""
        return b"".join(self.values[number] for number in sorted(self.values))

    @property
    def is_altered(self) -> bool:
        """Whether the bytes are certainly not those that the stub in the audit topic names."""
        digest = self.part.digest
        if digest is None or digest[0] != "sha256":
            return False
        return hashlib.sha256(self.raw).hexdigest() != digest[1]


class Letters:
    """Puts the messages of the topic together, as they come.

    Attributes:
        strangers: How many messages are no dead letters.
    """

    def __init__(self, *, with_values: bool = False) -> None:
        self.strangers = 0
        self._with_values = with_values
        self._found: dict[LetterKey, Letter] = {}

    @property
    def in_order(self) -> list[Letter]:
        """All, in the order in which they were published."""
        return sorted(
            self._found.values(),
            key=lambda one: (one.appended_ms, one.part.key.partition, one.offset),
        )

    def take(
        self, chunk: Iterable[Message], *, key: LetterKey | None = None, id_: str | None = None
    ) -> None:
        """Take in messages, or only those of one letter, or of the letters with one id."""
        for message in chunk:
            part = read_part(message)
            if part is None:
                self.strangers += 1
            elif (key is None or part.key == key) and (id_ is None or part.id == id_):
                self._add(part, message)

    def _add(self, part: Part, message: Message) -> None:
        letter = self._found.get(part.key)
        if letter is None:
            letter = Letter(part, message.offset, message.timestamp)
            self._found[part.key] = letter
        if part.number in letter.numbers:
            return
        value = message.value or b""
        letter.numbers.add(part.number)
        letter.size_bytes += len(value)
        if self._with_values:
            letter.values[part.number] = value


def read_part(message: Message) -> Part | None:
    """Read the headers of a message; None if it is no dead letter."""
    headers = {name: value.decode("utf-8", "replace") for name, value in message.headers or ()}
    sequence, revision = _number(headers, "sequence"), _number(headers, "revision")
    number, parts = _number(headers, "part"), _number(headers, "parts")
    if not (sequence and revision and number and parts and number <= parts):
        return None
    if not headers.keys() >= {"id", "environment", "reason", "observed"}:
        return None
    digests = [(name, headers[name]) for name in ("sha256", "hmac_sha256") if name in headers]
    return Part(
        LetterKey(message.partition, headers["environment"], sequence),
        headers["id"],
        revision,
        headers["reason"],
        headers["observed"],
        number,
        parts,
        digests[0] if digests else None,
    )


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    is_one = text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS
    return int(text) if is_one else None


async def chunks(
    reader: LogReader, topic: str, partitions: Sequence[int]
) -> AsyncIterator[Sequence[Message]]:
    """All messages of these partitions, up to their ends as they are now."""
    spans = {each: await reader.bounds(topic, each) for each in partitions}
    async for chunk in reader.read_all(topic, spans):
        yield chunk


async def key_at(reader: LogReader, topic: str, partition: int, offset: int) -> LetterKey | None:
    """Whose part lies at an offset; None if nothing that we wrote does."""
    first, end = await reader.bounds(topic, partition)
    if not first <= offset < end:
        return None
    async for chunk in reader.read(topic, partition, offset, offset + 1):
        for message in chunk:
            part = read_part(message) if message.offset == offset else None
            if part is not None:
                return part.key
    return None
