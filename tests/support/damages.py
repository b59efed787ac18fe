"""Ways in which a deployment's topics can be damaged, and the kinds that must be found.

All start from what `intact` returns: nine events, the fifth of them a stub and its dead letter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamer.audit import chain
from streamer.proof.findings import Kind
from tests.support.audit_records import element
from tests.support.published import (
    AUDIT,
    CHECKPOINTS,
    DEAD_LETTERS,
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

ENVIRONMENT: Final = "us_env_1"
KEY: Final = ENVIRONMENT.encode()


def intact() -> Published:
    """Return nine events, the fifth of them too large for a record."""
    events = events_of(9)
    events[4] = element(id="us_evt_large", payload=LARGE)
    return Published.of(ENVIRONMENT, events)


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


def moved_and_replaced(it: Published) -> None:
    """Behind all others stands a record that follows another one than its number says."""
    body = _body(it.records[2])
    value = chain.seal(bytes(32), chain.link(bytes(32), body), body)
    it.records.append(changed(it.records.pop(2), offset=99, value=value))


def copied(it: Published) -> None:
    """A record is there a second time, right behind itself."""
    it.records.insert(3, changed(it.records[2], offset=it.records[2].offset + 1))


def published_again(it: Published) -> None:
    """An event has a second record, which continues the chain as it should."""
    link = _end(it)
    (again,) = sealed(ENVIRONMENT, events_of(1), link)
    it.records.append(message(AUDIT, 99, KEY, again.value, again.headers))
    it.checkpoints[0] = message(
        *(CHECKPOINTS, 1, KEY),
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
    it.checkpoints.insert(0, message(CHECKPOINTS, 0, KEY, b"\xff"))


def checkpoint_under_another_key(it: Published) -> None:
    """The checkpoint of one environment lies under the key of another."""
    it.checkpoints.append(changed(it.checkpoints[0], key=b"us_env_9"))


def letter_removed(it: Published) -> None:
    """A stub's dead letter is gone."""
    it.letters.clear()


def letter_part_removed(it: Published) -> None:
    """The last part of a dead letter is gone."""
    del it.letters[-1]


def letter_part_twice(it: Published) -> None:
    """A part of a dead letter is there a second time."""
    it.letters.insert(1, it.letters[0])


def letter_of_another(it: Published) -> None:
    """A dead letter's header names another environment than its key."""
    headers = {**dict(it.letters[0].headers), "environment": b"us_env_9"}
    it.letters.append(changed(it.letters[0], headers=tuple(headers.items())))


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
    it.letters.append(message(DEAD_LETTERS, 99, KEY, b"?"))


DAMAGES: Final[dict[Callable[[Published], None], list[Kind]]] = {
    first_removed: [Kind.GAP],
    two_removed: [Kind.GAP],
    exchanged: [Kind.REORDERED],
    moved_to_the_end: [Kind.REORDERED],
    moved_and_replaced: [Kind.REORDERED, Kind.UNLINKED],
    copied: [Kind.DUPLICATE],
    published_again: [Kind.DUPLICATE],
    written_by_two: [Kind.DUPLICATE],
    payload_altered: [Kind.ALTERED],
    sequence_altered: [Kind.ALTERED],
    rewritten: [Kind.UNLINKED],
    cut: [Kind.UNREADABLE],
    foreign: [Kind.UNREADABLE],
    of_another_version: [Kind.UNREADABLE],
    under_another_key: [Kind.MISPLACED, Kind.TORN],
    header_changed: [Kind.HEADERS],
    header_removed: [Kind.HEADERS],
    header_twice: [Kind.HEADERS],
    header_without_a_value: [Kind.HEADERS],
    header_too_many: [Kind.HEADERS],
    committed_without_checkpoint: [Kind.TORN],
    end_cut_off: [Kind.TORN],
    no_checkpoint: [Kind.TORN],
    all_records_gone: [Kind.TORN],
    checkpoint_of_another_chain: [Kind.CHECKPOINT],
    checkpoint_unreadable: [Kind.CHECKPOINT],
    checkpoint_under_another_key: [Kind.MISPLACED],
    letter_removed: [Kind.DEAD_LETTER],
    letter_part_removed: [Kind.DEAD_LETTER],
    letter_part_twice: [Kind.DEAD_LETTER],
    letter_of_another: [Kind.MISPLACED],
    letter_altered: [Kind.DEAD_LETTER],
    letter_without_stub: [Kind.DEAD_LETTER],
    letter_foreign: [Kind.DEAD_LETTER],
}
"""Each with what is found, and nothing else."""

ONE_OF_EACH: Final = {tuple(found): damage for damage, found in DAMAGES.items()}.values()
"""A damage for each kind, where trying all of them takes too long."""
