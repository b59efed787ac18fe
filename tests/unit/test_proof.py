"""The verifier finds every way in which topics can break their promises, and tells them apart."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.config import KafkaSettings
from streamer.errors import TopicError
from streamer.kafka.partitions import partition_of as writers_partition_of
from streamer.proof.findings import DESCRIBED_AT_MOST, MEANINGS, Kind
from streamer.proof.identities import Identities
from streamer.proof.outcome import Outcome
from streamer.proof.part import Part
from streamer.proof.partitioning import partition_of
from streamer.proof.stretch import HOLES_AT_MOST
from tests.support.audit_records import element
from tests.support.damages import (
    DAMAGES,
    ENVIRONMENT,
    KEY,
    checkpoint_of_another_chain,
    intact,
    payload_altered,
    rewritten,
)
from tests.support.published import (
    AUDIT,
    LARGE,
    Published,
    changed,
    events_of,
    message,
)

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "us_env_2"


def kinds(published: Published, *, whole: bool = True) -> list[Kind]:
    """What is found, in this order."""
    return [one.kind for one in published.judged(whole=whole).findings.described]


def test_topics_that_keep_their_promises_have_no_finding() -> None:
    """Environments with markers between their records, a stub, its dead letter in parts."""
    it = intact()
    other = Published.of(OTHER, events_of(3))
    it.records += other.records
    it.checkpoints += other.checkpoints
    verifier = it.judged()
    assert verifier.findings.described == []
    assert verifier.records == 12
    assert len(it.letters) > 1
    found = verifier.environments
    assert {name: (one.first, one.highest) for name, one in found.items()} == {
        ENVIRONMENT: (1, 9),
        OTHER: (1, 3),
    }
    assert found[ENVIRONMENT].times.oldest == found[ENVIRONMENT].times.newest is not None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_found_once_and_by_its_kind(damage: Callable[[Published], None]) -> None:
    """Each way to lose, repeat, move, alter or tear has its kind, and nothing else is reported."""
    damaged = intact()
    damage(damaged)
    assert kinds(damaged) == DAMAGES[damage]


def test_records_in_another_partition_are_misplaced() -> None:
    """What lies where the key does not belong is no part of the chain."""
    it = intact()
    it.records[8] = changed(it.records[8], partition=1)
    assert kinds(it) == [Kind.MISPLACED, Kind.TORN]


def test_checkpoints_and_dead_letters_in_another_partition_are_misplaced() -> None:
    """There they belong to nobody, and are missing where they belong."""
    it = intact()
    it.checkpoints[0] = changed(it.checkpoints[0], partition=1)
    it.letters = [changed(one, partition=1) for one in it.letters]
    misplaced = [Kind.MISPLACED] * len(it.letters)
    assert kinds(it) == [Kind.MISPLACED, Kind.TORN, *misplaced, Kind.DEAD_LETTER]


def test_a_lost_part_is_told_from_other_bytes() -> None:
    """The finding says how much of a dead letter is there."""
    it = intact()
    del it.letters[-1]
    (finding,) = it.judged().findings.described
    assert finding.what == "of 3 parts of sequence 5 only 2 are there"


def test_what_retention_deleted_of_the_dead_letters_is_no_finding() -> None:
    """As long as what is missing, or the beginning of it, lies before everything that is there."""
    it = Published.of(ENVIRONMENT, [element(id=f"us_evt_{n}", payload=LARGE) for n in range(3)])
    first, second, third = it.letters[:3], it.letters[3:6], it.letters[6:]
    for left in ([], third, [*second[1:], *third]):
        it.letters = left
        assert kinds(it, whole=False) == []
    it.letters = [*first, *third]
    assert kinds(it, whole=False) == [Kind.DEAD_LETTER]


@pytest.mark.parametrize("removed", [1, 4, 8])
def test_what_retention_deleted_is_no_gap(removed: int) -> None:
    """Where the log begins late, so may the records, and the links of the rest still hold."""
    it = intact()
    del it.records[:removed]
    if removed > 4:
        it.letters.clear()
    assert kinds(it, whole=False) == []
    assert it.judged(whole=False).environments[ENVIRONMENT].first == removed + 1


def test_links_hold_behind_what_retention_deleted() -> None:
    """Only the first record that is left need not follow one."""
    it = intact()
    del it.records[:1]
    rewritten(it)
    assert kinds(it, whole=False) == [Kind.UNLINKED]


def test_an_environment_of_which_retention_left_nothing_is_no_finding() -> None:
    """Its checkpoint still counts what it had."""
    it = intact()
    it.records.clear()
    it.letters.clear()
    assert kinds(it, whole=False) == []


def test_a_worker_that_writes_meanwhile_is_no_finding() -> None:
    """A checkpoint may count records that came after the first look at the records."""
    it = intact()
    early = Published(it.records[:6], it.checkpoints, it.letters)
    assert early.judged(late=it.records[6:]).findings.described == []
    forked = early.judged(late=[*it.records[6:8], changed(it.records[8], value=b"{}")])
    assert [one.kind for one in forked.findings.described] == [Kind.UNREADABLE]


def test_checkpoint_ahead_is_held_against_the_record_that_it_counts() -> None:
    """Also where that record was read after the checkpoint."""
    it = intact()
    early = Published(it.records[:6], it.checkpoints, it.letters)
    checkpoint_of_another_chain(early)
    late = early.judged(late=it.records[6:])
    assert [one.kind for one in late.findings.described] == [Kind.CHECKPOINT]


def test_one_fault_is_told_from_another() -> None:
    """Several faults in one topic have a finding each."""
    it = Published.of(ENVIRONMENT, events_of(40))
    del it.records[30:32]
    payload_altered(it)
    it.records[20:22] = it.records[21:19:-1]
    it.records.append(changed(it.records[10], offset=99))
    assert sorted(kinds(it)) == [Kind.ALTERED, Kind.DUPLICATE, Kind.GAP, Kind.REORDERED]


def test_a_topic_full_of_holes_is_counted_in_bounded_memory() -> None:
    """Each missing record is counted, the first are described."""
    count = HOLES_AT_MOST + 50
    it = Published.of(ENVIRONMENT, events_of(2 * count))
    it.records = it.records[1::2]
    findings = it.judged().findings
    assert findings.counts[Kind.GAP] == count
    assert len(findings.described) == DESCRIBED_AT_MOST


@pytest.mark.parametrize(
    ("key", "value"), [(None, None), (b"", b""), (b"\xff", b"\xff"), (b"k", b"{}"), (b"k", b"[")]
)
def test_any_message_can_be_judged(key: bytes | None, value: bytes | None) -> None:
    """What is nothing of ours is a finding in each topic, never an exception."""
    one = changed(message(AUDIT, 0, b"k", b""), key=key, value=value)
    it = Published([one], [changed(one, value=b"{")], [one])
    assert sorted(kinds(it)) == [Kind.CHECKPOINT, Kind.DEAD_LETTER, Kind.UNREADABLE]


WHOLE = Published.of(ENVIRONMENT, [*events_of(3), element(id="us_evt_large", payload=LARGE)])


@settings(max_examples=400)
@given(st.data())
def test_any_single_changed_byte_of_a_record_is_found(data: st.DataObject) -> None:
    """Wherever it is: in the value, in the key, in a header's value or name."""
    at = data.draw(st.integers(0, len(WHOLE.records) - 1), label="record")
    one = WHOLE.records[at]
    pieces = [one.key or b"", one.value or b""]
    pieces += [part for name, value in one.headers for part in (name.encode(), value)]
    number = data.draw(st.integers(0, len(pieces) - 1), label="piece")
    piece = bytearray(pieces[number])
    position = data.draw(st.integers(0, len(piece) - 1), label="position")
    bits = data.draw(st.integers(1, 255 if number < 2 or number % 2 else 127), label="bits")
    piece[position] ^= bits
    pieces[number] = bytes(piece)
    headers = tuple(
        (name.decode(), value) for name, value in zip(pieces[2::2], pieces[3::2], strict=True)
    )
    records = list(WHOLE.records)
    records[at] = changed(one, key=pieces[0], value=pieces[1], headers=headers)
    assert Published(records, WHOLE.checkpoints, WHOLE.letters).judged().findings.described


@given(st.binary(max_size=40), st.integers(1, 1000))
def test_partition_is_that_of_the_producers(key: bytes, partitions: int) -> None:
    """The verifier's own murmur2 agrees with the one that the writer uses."""
    assert 0 <= partition_of(key, partitions) < partitions
    text = key.decode("utf-8", "replace")
    assert partition_of(text.encode(), partitions) == writers_partition_of(text, partitions)


@given(st.lists(st.tuples(st.binary(max_size=2), st.integers(1, 3), st.text(max_size=2))))
def test_identities_are_a_set(added: list[tuple[bytes, int, str]]) -> None:
    """What was added before is known, and nothing else."""
    ours, theirs = Identities(), set[tuple[bytes, int, str]]()
    for one in added:
        assert ours.add(*one) == (one not in theirs)
        theirs.add(one)


def test_identities_are_kept_as_they_grow() -> None:
    """Nothing is forgotten when the table is made larger."""
    ours = Identities()
    ids = [f"us_evt_{n}" for n in range(20_000)]
    assert all(ours.add(KEY, 1, one) for one in ids)
    assert not any(ours.add(KEY, 1, one) for one in ids)


def test_every_kind_has_a_meaning() -> None:
    """Each says what it is and what to do."""
    assert MEANINGS.keys() == set(Kind)


def test_partitions_are_spread_over_parts_of_about_the_same_size() -> None:
    """Nothing is left out or read twice; what cannot be split makes fewer parts."""
    spans = {0: (0, 10), 1: (100, 190), 2: (5, 5), 3: (0, 50), 4: (0, 30)}
    whole = Part(KafkaSettings(), 5, spans)
    parts = whole.split(2)
    assert [one.offsets for one in parts] == [90, 90]
    assert {number: span for one in parts for number, span in one.records.items()} == spans
    assert sum(len(one.records) for one in parts) == len(spans)
    assert [one.records for one in Part(KafkaSettings(), 1, {0: (0, 9)}).split(3)] == [{0: (0, 9)}]


def test_findings_of_several_parts_are_counted_and_described_up_to_the_bound() -> None:
    """Memory is bounded however many parts there are."""
    parts = []
    for _ in range(3):
        damaged = Published.of(ENVIRONMENT, events_of(2))
        damaged.records += [message(AUDIT, 9, KEY, b"?")] * (DESCRIBED_AT_MOST // 2)
        parts.append(damaged.judged())
    outcome = Outcome.of_all(parts)
    assert outcome.records == 3 * (2 + DESCRIBED_AT_MOST // 2)
    assert outcome.findings.counts == {Kind.UNREADABLE: 3 * (DESCRIBED_AT_MOST // 2)}
    assert len(outcome.findings.described) == DESCRIBED_AT_MOST


def test_an_error_of_another_process_says_there_what_it_says_here() -> None:
    """Its class, its words and its exit code come through."""
    error = TopicError(where="topic t", what="it does not exist", next_step="Make it.")
    sent = pickle.loads(pickle.dumps(error))  # noqa: S301 - written here
    assert (type(sent), str(sent), sent.exit_code) == (TopicError, str(error), 4)
    assert sent.next_step == "Make it."
