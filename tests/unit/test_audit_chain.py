"""The chain: numbers without a gap, links that any verifier can recompute from raw bytes."""

from __future__ import annotations

import hashlib
import re

import pytest

from streamer.audit import chain
from streamer.audit.record import restore
from tests.support.audit_records import ENVIRONMENT, event, sealed


def _verified(values: list[bytes], environment_id: str) -> bool:
    """Verify as the documentation says, sharing nothing with the product."""
    head = hashlib.sha256(environment_id.encode()).hexdigest()
    for value in values:
        body, _, seal = value.rpartition(b',"integrity":')
        found = re.fullmatch(rb'\{"previous":"(\w{64})","hash":"(\w{64})"\}\}', seal)
        assert found is not None
        digest = hashlib.sha256(bytes.fromhex(head) + body).hexdigest()
        if found[1].decode() != head or found[2].decode() != digest:
            return False
        head = digest
    return True


def test_records_form_a_chain_from_the_environments_id() -> None:
    """A verifier that knows only the documentation accepts what was sealed."""
    records = sealed(*(event(id=f"us_evt_{number}") for number in range(5)))
    assert _verified([one.value for one in records], ENVIRONMENT.id)
    assert [one.sequence for one in records] == [1, 2, 3, 4, 5]


def test_a_changed_byte_breaks_the_chain() -> None:
    """Changing any one byte of any record is noticed at that record or the next."""
    values = [one.value for one in sealed(event(id="us_evt_1"), event(id="us_evt_2"))]
    for at in range(len(values[0])):
        changed = values[0][:at] + bytes((values[0][at] ^ 1,)) + values[0][at + 1 :]
        head = chain.genesis(ENVIRONMENT.id).head
        intact = chain.follows(changed, head)
        if intact:
            intact = chain.follows(values[1], chain.unseal(changed).digest)
        assert not intact


def test_encoding_goes_on_where_it_was_told_to() -> None:
    """A batch cut in two gives the same records as the whole."""
    rows = [event(id=f"us_evt_{number}") for number in range(4)]
    whole = sealed(*rows)
    first = sealed(*rows[:2])
    link = chain.Link(first[-1].sequence, restore(first[-1].value).digest)
    assert [one.value for one in (*first, *sealed(*rows[2:], link=link))] == [
        one.value for one in whole
    ]


@pytest.mark.parametrize("value", [b"", b"{}", b'{"a":1,"integrity":{"previous":"","hash":""}}'])
def test_what_has_no_seal_is_refused(value: bytes) -> None:
    """Bytes without a seal at their end do not follow anything."""
    with pytest.raises(chain.UnsealedError):
        chain.unseal(value)
    assert not chain.follows(value, bytes(32))
