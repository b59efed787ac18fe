"""A record that the broker refuses is found among others, and nothing else is held up by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streamer.kafka.transaction import Outgoing
from streamer.offer import Offer, offer_of_inventory
from streamer.shard.caution import Caution
from tests.support.audit_records import event, sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.kafka.transaction import Message

RECORDS = [
    Outgoing(b"us_env_one", one.value) for one in sealed(*(event(id=f"evt_{n}") for n in range(64)))
]


def offer(*records: Outgoing, key: bytes = b"us_env_one") -> Offer:
    """Offer records of an environment."""
    return Offer(key, records=records)


def parts(caution: Caution, records: Sequence[Outgoing]) -> list[Offer]:
    """Cut a capture as an archiver does."""
    most = caution.most_records(b"us_env_one") or len(records)
    return [offer(*records[at : at + most]) for at in range(0, len(records), most)]


@pytest.mark.parametrize("bad", [0, 1, 31, 32, 63])
def test_the_one_record_is_found_wherever_it_stands(bad: int) -> None:
    """The broker's answers alone lead to it, within some halvings; what it takes is published."""
    caution = Caution(0)
    published: list[Message] = []
    attempts = 0
    while len(published) < len(RECORDS):
        attempts += 1
        for part in parts(caution, RECORDS[len(published) :]):
            if RECORDS[bad] in part.records and not caution.refused:
                assert caution.narrow([part])
                break
            caution.accepted(part)
            published += part.records
    assert published == RECORDS
    assert caution.refused == {f"evt_{bad}"}
    assert attempts <= 9


def test_what_was_refused_together_is_tried_one_environment_at_a_time() -> None:
    """After a refusal each environment of that transaction goes alone, and no other one does."""
    caution = Caution(0)
    one, two = offer(*RECORDS[:5]), offer(*RECORDS[5:9], key=b"us_env_two")
    assert caution.narrow([one, two])
    assert caution.is_alone(one)
    assert caution.is_alone(two)
    assert not caution.is_alone(offer(key=b"us_env_three"))


def test_environment_that_was_not_cut_is_trusted_again() -> None:
    """Caution ends with the first commit of less than what would have been cut."""
    caution = Caution(0)
    assert caution.narrow([offer(*RECORDS[:8])])
    caution.accepted(offer(*RECORDS[:4]))
    assert caution.is_alone(offer())
    caution.accepted(offer())
    assert caution.is_alone(offer())
    caution.accepted(offer(*RECORDS[4:8]))
    assert not caution.is_alone(offer())


def test_stub_that_is_refused_as_well_can_not_be_narrowed() -> None:
    """Whoever refuses even the stub is asked again after growing waits, not at once."""
    caution = Caution(0)
    assert caution.narrow([offer(RECORDS[0])])
    assert not caution.narrow([offer(RECORDS[0])])
    assert not caution.narrow([offer()])


def test_object_of_the_inventory_that_is_refused_is_left_out_of_later_offers() -> None:
    """An object is looked for like a record, and the others of its environment go on."""
    objects = [Outgoing(b"space/%d" % number, b"{}") for number in range(4)]
    caution = Caution(0)
    while b"space/2" in [one.key for cut in caution.cut(_spaces(objects)) for one in cut.inventory]:
        for part in caution.cut(_spaces(objects)):
            if objects[2] in part.inventory:
                assert caution.narrow([part])
                break
    cut = caution.cut(_spaces(objects))
    assert [one.key for part in cut for one in part.inventory] == [
        b"space/0",
        b"space/1",
        b"space/3",
    ]


def test_tombstone_of_an_object_that_was_refused_goes_out() -> None:
    """What was published of it before does not stay; a refused tombstone is for a person."""
    caution = Caution(0)
    assert caution.narrow([_spaces([Outgoing(b"space/1", b"{}")])])
    tombstone = Outgoing(b"space/1", None)
    (part,) = caution.cut(_spaces([tombstone]))
    assert part.inventory == [tombstone]
    assert not caution.narrow([part])


def _spaces(objects: Sequence[Outgoing]) -> Offer:
    return offer_of_inventory(b"us_env_one", objects)
