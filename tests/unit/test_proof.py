"""The verifier finds every way in which topics can break their promises, and tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.audit import chain
from streamer.kafka.partitions import partition_of as writers_partition_of
from streamer.proof.findings import DESCRIBED_AT_MOST, MEANINGS, Kind
from streamer.proof.identities import Identities
from streamer.proof.partitioning import partition_of
from streamer.proof.stretch import HOLES_AT_MOST
from tests.support.audit_records import element
from tests.support.published import (
    AUDIT,
    LARGE,
    Published,
    changed,
    checkpoint_of,
    events_of,
    message,
    sealed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.kafka.reader import Message

ENVIRONMENT = "us_env_1"
KEY = ENVIRONMENT.encode()
OTHER = "us_env_2"


def kinds(published: Published, *, whole: bool = True) -> list[Kind]:
    """What is found, in this order."""
    return [one.kind for one in published.judged(whole=whole).findings.described]


@pytest.fixture
def intact() -> Published:
    """Nine events, the fifth of them too large for a record."""
    events = events_of(9)
    events[4] = element(id="us_evt_large", payload=LARGE)
    return Published.of(ENVIRONMENT, events)


def test_topics_that_keep_their_promises_have_no_finding(intact: Published) -> None:
    """Environments with markers between their records, a stub, its dead letter in parts."""
    other = Published.of(OTHER, events_of(3))
    intact.records += other.records
    intact.checkpoints += other.checkpoints
    verifier = intact.judged()
    assert verifier.findings.described == []
    assert verifier.records == 12
    assert len(intact.letters) > 1
    found = verifier.environments
    assert {name: (one.first, one.highest) for name, one in found.items()} == {
        ENVIRONMENT: (1, 9),
        OTHER: (1, 3),
    }
    assert found[ENVIRONMENT].times.oldest == found[ENVIRONMENT].times.newest is not None


def _resealed(one: Message, body: bytes) -> Message:
    previous = chain.unseal(one.value or b"").previous
    return changed(one, value=chain.seal(previous, chain.link(previous, body), body))


def _body(one: Message) -> bytes:
    return chain.unseal(one.value or b"").body


def _elsewhere(text: bytes) -> bytes:
    """The same, having happened in another space."""
    return text.replace(b"us_sp_Space001", b"us_sp_Space002")


def _end(published: Published) -> chain.Link:
    return chain.Link(
        len(published.records), chain.unseal(published.records[-1].value or b"").digest
    )


def first_removed(it: Published) -> None:
    """The record with which everything begins is gone."""
    del it.records[0]


def two_removed(it: Published) -> None:
    """Two records in the middle are gone."""
    del it.records[1:3]


def exchanged(it: Published) -> None:
    """Two neighbours have changed places."""
    it.records[1:3] = [
        changed(it.records[2], offset=it.records[1].offset),
        changed(it.records[1], offset=it.records[2].offset),
    ]


def moved_to_the_end(it: Published) -> None:
    """A record stands behind all others."""
    it.records.append(changed(it.records.pop(2), offset=99))


def copied(it: Published) -> None:
    """A record is there a second time, right behind itself."""
    it.records.insert(3, changed(it.records[2], offset=it.records[2].offset + 1))


def published_again(it: Published) -> None:
    """An event has a second record, which continues the chain as it should."""
    link = _end(it)
    (again,) = sealed(ENVIRONMENT, events_of(1), link)
    it.records.append(message(AUDIT, 99, KEY, again.value, again.headers))
    it.checkpoints[0] = message(
        *("t.checkpoints", 1, KEY),
        checkpoint_of(ENVIRONMENT, chain.Link(10, chain.unseal(again.value).digest)),
    )


def written_by_two(it: Published) -> None:
    """Two records, of different events, have one number."""
    link = chain.Link(2, chain.unseal(it.records[1].value or b"").digest)
    (fork,) = sealed(ENVIRONMENT, events_of(1, first=50), link)
    it.records.insert(2, message(AUDIT, 3, KEY, fork.value, fork.headers))


def payload_altered(it: Published) -> None:
    """A byte of what Flatfile sent is another."""
    it.records[2] = changed(it.records[2], value=_elsewhere(it.records[2].value or b""))


def sequence_altered(it: Published) -> None:
    """A record claims a number far ahead; the records behind it are not at fault."""
    value = (it.records[2].value or b"").replace(b'"sequence":3', b'"sequence":3000')
    it.records[2] = changed(it.records[2], value=value)


def rewritten(it: Published) -> None:
    """A record was altered and sealed anew: only its successor can tell."""
    it.records[2] = _resealed(it.records[2], _elsewhere(_body(it.records[2])))


def cut(it: Published) -> None:
    """The last byte of a record is gone."""
    it.records[2] = changed(it.records[2], value=(it.records[2].value or b"")[:-1])


def foreign(it: Published) -> None:
    """Somebody else wrote to the topic."""
    it.records.insert(3, message(AUDIT, 5, KEY, b'{"hello":1}'))


def of_another_version(it: Published) -> None:
    """A record of a form that is not known, and that continues the chain."""
    body = _body(it.records[2]).replace(b"audit/1", b"audit/2")
    it.records[2] = _resealed(it.records[2], body)


def under_another_key(it: Published) -> None:
    """A record lies under the key of another environment."""
    it.records[8] = changed(it.records[8], key=b"us_env_9")


def header_changed(it: Published) -> None:
    """A header names another number."""
    headers = {**dict(it.records[2].headers), "ce_sequence": b"%019d" % 4}
    it.records[2] = changed(it.records[2], headers=tuple(headers.items()))


def header_removed(it: Published) -> None:
    """A header is missing."""
    it.records[2] = changed(it.records[2], headers=it.records[2].headers[1:])


def header_twice(it: Published) -> None:
    """A header is there twice, and which one counts depends on the reader."""
    headers = (("ce_id", b"us_evt_forged"), *it.records[2].headers)
    it.records[2] = changed(it.records[2], headers=headers)


def header_without_a_value(it: Published) -> None:
    """A header has no value at all."""
    headers = {**dict(it.records[2].headers), "ce_type": None}
    it.records[2] = changed(it.records[2], headers=tuple(headers.items()))


def header_too_many(it: Published) -> None:
    """A header says something that the record does not say."""
    headers = (*it.records[2].headers, ("ce_revision", b"2"))
    it.records[2] = changed(it.records[2], headers=headers)


def committed_without_checkpoint(it: Published) -> None:
    """The last records came without the checkpoint that counts them."""
    link = chain.Link(7, chain.unseal(it.records[6].value or b"").digest)
    it.checkpoints[0] = changed(it.checkpoints[0], value=checkpoint_of(ENVIRONMENT, link))


def end_cut_off(it: Published) -> None:
    """The last records are gone, and the checkpoint counts them."""
    del it.records[7:]


def no_checkpoint(it: Published) -> None:
    """There are records of an environment that has no checkpoint."""
    it.checkpoints.clear()


def all_records_gone(it: Published) -> None:
    """The checkpoint counts records of which there is none."""
    it.records.clear()
    it.letters.clear()


def checkpoint_of_another_chain(it: Published) -> None:
    """The checkpoint agrees in the number and not in the hash."""
    value = checkpoint_of(ENVIRONMENT, chain.Link(9, bytes(32)))
    it.checkpoints[0] = changed(it.checkpoints[0], value=value)


def checkpoint_unreadable(it: Published) -> None:
    """What lies in the checkpoint topic is no checkpoint."""
    it.checkpoints.insert(0, message("t.checkpoints", 0, KEY, b"\xff"))


def checkpoint_under_another_key(it: Published) -> None:
    """The checkpoint of one environment lies under the key of another."""
    it.checkpoints.append(changed(it.checkpoints[0], key=b"us_env_9"))


def letter_removed(it: Published) -> None:
    """A stub's dead letter is gone."""
    it.letters.clear()


def letter_part_removed(it: Published) -> None:
    """The last part of a dead letter is gone."""
    del it.letters[-1]


def letter_altered(it: Published) -> None:
    """A dead letter's bytes are others."""
    value = (it.letters[0].value or b"").swapcase()
    it.letters[0] = changed(it.letters[0], value=value)


def letter_without_stub(it: Published) -> None:
    """A dead letter says that it belongs to a record which is no stub."""
    first = it.letters[0]
    headers = {**dict(first.headers), "sequence": b"2", "parts": b"1"}
    it.letters.append(changed(first, headers=tuple(headers.items())))


def letter_foreign(it: Published) -> None:
    """What lies among the dead letters is none."""
    it.letters.append(message("t.dead-letters", 99, KEY, b"?"))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (first_removed, [Kind.GAP]),
        (two_removed, [Kind.GAP]),
        (exchanged, [Kind.REORDERED]),
        (moved_to_the_end, [Kind.REORDERED]),
        (copied, [Kind.DUPLICATE]),
        (published_again, [Kind.DUPLICATE]),
        (written_by_two, [Kind.DUPLICATE]),
        (payload_altered, [Kind.ALTERED]),
        (sequence_altered, [Kind.ALTERED]),
        (rewritten, [Kind.UNLINKED]),
        (cut, [Kind.UNREADABLE]),
        (foreign, [Kind.UNREADABLE]),
        (of_another_version, [Kind.UNREADABLE]),
        (under_another_key, [Kind.MISPLACED, Kind.TORN]),
        (header_changed, [Kind.HEADERS]),
        (header_removed, [Kind.HEADERS]),
        (header_twice, [Kind.HEADERS]),
        (header_without_a_value, [Kind.HEADERS]),
        (header_too_many, [Kind.HEADERS]),
        (committed_without_checkpoint, [Kind.TORN]),
        (end_cut_off, [Kind.TORN]),
        (no_checkpoint, [Kind.TORN]),
        (all_records_gone, [Kind.TORN]),
        (checkpoint_of_another_chain, [Kind.CHECKPOINT]),
        (checkpoint_unreadable, [Kind.CHECKPOINT]),
        (checkpoint_under_another_key, [Kind.MISPLACED]),
        (letter_removed, [Kind.DEAD_LETTER]),
        (letter_part_removed, [Kind.DEAD_LETTER]),
        (letter_altered, [Kind.DEAD_LETTER]),
        (letter_without_stub, [Kind.DEAD_LETTER]),
        (letter_foreign, [Kind.DEAD_LETTER]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage_is_found_once_and_by_its_kind(
    intact: Published, damage: Callable[[Published], None], found: list[Kind]
) -> None:
    """Each way to lose, repeat, move, alter or tear has its kind, and nothing else is reported."""
    damage(intact)
    assert kinds(intact) == found


def test_records_in_another_partition_are_misplaced(intact: Published) -> None:
    """What lies where the key does not belong is no part of the chain."""
    intact.records[8] = changed(intact.records[8], partition=1)
    assert kinds(intact) == [Kind.MISPLACED, Kind.TORN]


@pytest.mark.parametrize("removed", [1, 4, 8])
def test_what_retention_deleted_is_no_gap(intact: Published, removed: int) -> None:
    """Where the log begins late, so may the records, and the links of the rest still hold."""
    del intact.records[:removed]
    if removed > 4:
        intact.letters.clear()
    assert kinds(intact, whole=False) == []
    assert intact.judged(whole=False).environments[ENVIRONMENT].first == removed + 1


def test_links_hold_behind_what_retention_deleted(intact: Published) -> None:
    """Only the first record that is left need not follow one."""
    del intact.records[:1]
    rewritten(intact)
    assert kinds(intact, whole=False) == [Kind.UNLINKED]


def test_an_environment_of_which_retention_left_nothing_is_no_finding(intact: Published) -> None:
    """Its checkpoint still counts what it had."""
    intact.records.clear()
    intact.letters.clear()
    assert kinds(intact, whole=False) == []


def test_a_worker_that_writes_meanwhile_is_no_finding(intact: Published) -> None:
    """A checkpoint may count records that came after the first look at the records."""
    early = Published(intact.records[:6], intact.checkpoints, intact.letters)
    assert early.judged(late=intact.records[6:]).findings.described == []
    forked = early.judged(late=[*intact.records[6:8], changed(intact.records[8], value=b"{}")])
    assert [one.kind for one in forked.findings.described] == [Kind.UNREADABLE]


def test_checkpoint_ahead_is_held_against_the_record_that_it_counts(intact: Published) -> None:
    """Also where that record was read after the checkpoint."""
    early = Published(intact.records[:6], intact.checkpoints, intact.letters)
    checkpoint_of_another_chain(early)
    late = early.judged(late=intact.records[6:])
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
