"""The verifier finds every way in which a topic can break its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamer.audit import chain
from streamer.commands.proving import verdict
from streamer.errors import CheckFailedError
from streamer.proof.verify import FINDINGS_AT_MOST, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

Message = tuple[int, bytes, bytes]


def _topic(environment: str = "us_env_1", count: int = 5, first_offset: int = 0) -> list[Message]:
    """Records as they are published, each with a marker's offset between it and the next."""
    messages = []
    link = chain.genesis(environment)
    for sequence in range(1, count + 1):
        value, link = _record(environment, sequence, link.head)
        messages.append((first_offset + 2 * sequence, environment.encode(), value))
    return messages


def _record(
    environment: str, sequence: int, previous: bytes, event: str | None = None
) -> tuple[bytes, chain.Link]:
    body = (
        f'{{"schema":"flatfile.audit/1","id":"{event or f"us_evt_{sequence}"}","revision":1,'
        f'"sequence":{sequence},"time":"2026-11-23T20:46:04.300Z",'
        f'"environment":{{"id":"{environment}"}},"payload":{{"n":1}}'
    ).encode()
    digest = chain.link(previous, body)
    return chain.seal(previous, digest, body), chain.Link(sequence, digest)


def _verified(messages: list[Message]) -> Verifier:
    verifier = Verifier()
    for message in messages:
        verifier.add(*message)
    return verifier


def test_a_topic_that_keeps_its_promises_is_proved() -> None:
    """Interleaved environments with markers between their records have no finding."""
    first, second = _topic("us_env_1", 5), _topic("us_env_2", 3, first_offset=1)
    verifier = _verified(sorted([*first, *second]))
    assert (verifier.failures, verifier.records) == (0, 8)
    assert {key: link.sequence for key, link in verifier.environments.items()} == {
        "us_env_1": 5,
        "us_env_2": 3,
    }
    assert verdict(verifier, "t") == (
        "proved: 8 records in 2 environments, every sequence without a gap, every hash right, "
        "none there twice"
    )


def _without_the_first(messages: list[Message]) -> list[Message]:
    return messages[1:]


def _without_one(messages: list[Message]) -> list[Message]:
    return messages[:2] + messages[3:]


def _exchanged(messages: list[Message]) -> list[Message]:
    (a, key, one), (b, _, two) = messages[1:3]
    return [messages[0], (a, key, two), (b, key, one), *messages[3:]]


def _repeated(messages: list[Message]) -> list[Message]:
    offset, key, value = messages[2]
    return [*messages[:3], (offset + 1, key, value), *messages[3:]]


def _altered(messages: list[Message]) -> list[Message]:
    offset, key, value = messages[2]
    return [*messages[:2], (offset, key, value.replace(b'"n":1', b'"n":2')), *messages[3:]]


def _rewritten(messages: list[Message]) -> list[Message]:
    """One record altered and sealed anew: only its successor can tell."""
    offset, key, value = messages[2]
    previous = chain.unseal(value).previous
    body = chain.unseal(value).body.replace(b'"n":1', b'"n":2')
    sealed = chain.seal(previous, chain.link(previous, body), body)
    return [*messages[:2], (offset, key, sealed), *messages[3:]]


def _published_twice(messages: list[Message]) -> list[Message]:
    """The same event again, with a sequence and a link of its own."""
    value, _ = _record("us_env_1", 6, chain.unseal(messages[-1][2]).digest, "us_evt_3")
    return [*messages, (99, b"us_env_1", value)]


def _under_another_key(messages: list[Message]) -> list[Message]:
    return [(offset, b"us_env_9", value) for offset, _, value in messages]


def _cut(messages: list[Message]) -> list[Message]:
    offset, key, value = messages[2]
    return [*messages[:2], (offset, key, value[:-1]), *messages[3:]]


def _out_of_place(messages: list[Message]) -> list[Message]:
    return [*messages[:4], (messages[3][0], *messages[4][1:])]


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_without_the_first, "after sequence 0 comes 2"),
        (_without_one, "after sequence 2 comes 4"),
        (_exchanged, "after sequence 1 comes 3"),
        (_repeated, "after sequence 3 comes 3"),
        (_altered, "sequence 3 was altered"),
        (_rewritten, "sequence 4 does not name the hash of the record before it"),
        (_published_twice, "us_evt_3, revision 1, is there twice"),
        (_under_another_key, "its key is not its environment"),
        (_cut, "it is no audit record"),
        (_out_of_place, "does not lie behind the one before it"),
    ],
)
def test_damage_is_found(damage: Callable[[list[Message]], list[Message]], finding: str) -> None:
    """Each way to lose, repeat, reorder or alter a record is found, and described first."""
    verifier = _verified(damage(_topic()))
    assert finding in verifier.findings[0].what
    with pytest.raises(CheckFailedError, match="not proved") as caught:
        verdict(verifier, "t")
    assert finding in str(caught.value)
    assert caught.value.exit_code == 5


def test_one_gap_is_one_finding() -> None:
    """What follows a fault is held against the record at fault, so that it is reported once."""
    assert _verified(_without_one(_topic(count=50))).failures == 1


def test_findings_are_counted_beyond_those_that_are_described() -> None:
    """A topic full of rubbish does not fill the memory, and is counted."""
    verifier = _verified([(n, b"us_env_1", b"rubbish") for n in range(FINDINGS_AT_MOST + 5)])
    assert verifier.failures == FINDINGS_AT_MOST + 5
    assert len(verifier.findings) == FINDINGS_AT_MOST


@pytest.mark.parametrize(
    ("key", "value"), [(None, None), (b"", b""), (b"\xff", b"\xff"), (b"k", b"{}")]
)
def test_any_message_can_be_judged(key: bytes | None, value: bytes | None) -> None:
    """What is no record is a finding, never an exception."""
    assert _verified([(0, key, value)]).failures == 1  # type: ignore[list-item]


def test_nothing_is_no_proof() -> None:
    """An empty topic is not called proved."""
    with pytest.raises(CheckFailedError, match="nothing was published"):
        verdict(Verifier(), "t")
