"""A deployment's topics in memory, written by the product's encoder, to be damaged and judged."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka.structs import ConsumerRecord

from streamer.audit.chain import Link, genesis, unseal
from streamer.audit.checkpoint import EnvironmentName, encode
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read
from streamer.flatfile.models import Environment
from streamer.flatfile.rows import read_row
from streamer.proof.verify import Verifier
from tests.support.audit_records import ADA, CHECKPOINT, OBSERVED, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.audit.encoder import Sealed
    from streamer.kafka.reader import Message
    from streamer.proof.outcome import Outcome

AUDIT: Final = "t.audit"
CHECKPOINTS: Final = "t.checkpoints"
DEAD_LETTERS: Final = "t.dead-letters"
LARGE: Final = "x" * 20_000
"""A payload that becomes a dead letter in parts."""


def sealed(
    environment: str, events: Sequence[dict[str, Any]], link: Link | None = None
) -> list[Sealed]:
    """Return records of an environment, from its beginning on or behind a link."""
    encoder = Encoder(Environment(id=environment), "us_acc_1", max_record_bytes=14_000)
    drafts = [read(read_row(json.dumps(each).encode())) for each in events]
    return encoder.encode(drafts, {ADA.id: ADA}, OBSERVED, link or genesis(environment))[0]


def events_of(count: int, *, first: int = 1) -> list[dict[str, Any]]:
    """Return events, numbered from `first` on."""
    return [element(id=f"us_evt_{n:08}", payload={"n": n}) for n in range(first, first + count)]


def checkpoint_of(environment: str, link: Link) -> bytes:
    """Return the checkpoint of an environment that stands at a link."""
    return encode(
        msgspec.structs.replace(
            CHECKPOINT,
            environment=EnvironmentName(environment),
            sequence=link.sequence,
            head=link.head.hex(),
        )
    )


def message(
    topic: str,
    offset: int,
    key: bytes,
    value: bytes | None,
    headers: Any = (),  # noqa: ANN401 (as Kafka's)
) -> Message:
    """Return a message of partition 0, as a consumer hands it over."""
    size = len(value or b"")
    return ConsumerRecord(topic, 0, offset, 0, 1, key, value, None, len(key), size, tuple(headers))


@dataclass
class Published:
    """What lies in the topics; each has one partition."""

    records: list[Message]
    checkpoints: list[Message]
    letters: list[Message]

    @classmethod
    def of(cls, environment: str, events: Sequence[dict[str, Any]]) -> Published:
        """Publish events, with a marker's offset between a record and the next."""
        key = environment.encode()
        made = sealed(environment, events)
        link = Link(len(made), unseal(made[-1].value).digest) if made else genesis(environment)
        letters = [letter for one in made for letter in one.dead_letters]
        return cls(
            [message(AUDIT, 2 * n, key, one.value, one.headers) for n, one in enumerate(made)],
            [message(CHECKPOINTS, 0, key, checkpoint_of(environment, link))],
            [
                message(DEAD_LETTERS, n, key, one.value, one.headers)
                for n, one in enumerate(letters)
            ],
        )

    def judged(self, *, whole: bool = True, late: Sequence[Message] = ()) -> Outcome:
        """Hold it against its promises.

        Args:
            whole: Whether nothing was deleted.
            late: Records that came while it was read.
        """
        partitions = (0,) if whole else ()
        verifier = Verifier(AUDIT, 1, whole=partitions, whole_letters=partitions)
        for one in self.records:
            verifier.take(one)
        for one in self.checkpoints:
            verifier.take_checkpoint(one)
        verifier.compare()
        for one in late:
            verifier.take(one)
        for one in self.letters:
            verifier.take_dead_letter(one)
        return verifier.finish()


def changed(one: Message, **members: Any) -> Message:  # noqa: ANN401 (as Kafka's)
    """Return a message with other members."""
    return dataclasses.replace(one, **members)
