"""What is published of the account is what `schemas/inventory-1.schema.json` says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from streamer.audit.privacy import Privacy
from streamer.inventory import examples
from streamer.inventory.message import KINDS, encode
from streamer.inventory.things import LARGEST_BYTES
from tests.support.inventory import thing

SCHEMAS = Path(__file__).parents[2] / "schemas"
DOCUMENT = json.loads((SCHEMAS / "inventory-1.schema.json").read_bytes())
VALUE = jsonschema_rs.Draft202012Validator(DOCUMENT, validate_formats=True)


def _check(value: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(value)
    VALUE.validate(found)
    assert set(found) <= set(DOCUMENT["properties"])
    return found


def test_there_is_an_example_of_every_kind_and_all_are_valid() -> None:
    """None of them has what must not leave."""
    found = [_check(value) for value in examples.values()]
    assert sorted(one["kind"] for one in found) == sorted(KINDS)
    assert all(b"an example" not in value for value in examples.values())


@pytest.mark.parametrize(
    "policy", [Privacy("pseudonymize", b"a key of the operator"), Privacy("drop")]
)
def test_unusual_values_are_valid(policy: Privacy) -> None:
    """Of an object that is too large, under a policy, without an account."""
    user = {"id": "us_usr_1", "email": "a@b.example", "n": "x" * LARGEST_BYTES, "token": "t"}
    value = encode(
        thing("user", user, policy),
        account_id="",
        privacy=policy,
        first_seen="2026-11-20T08:00:00.000Z",
        last_seen="2026-11-20T08:00:00.000Z",
        observed_only=False,
    )
    assert _check(value)["omitted"] == ["n"]


@pytest.mark.parametrize(
    ("member", "wrong"),
    [("kind", "workbook"), ("fingerprint", "x"), ("first_seen", "soon"), ("object", []), ("id", 1)],
)
def test_what_is_wrong_is_refused(member: str, wrong: object) -> None:
    """The schema says what is meant."""
    found = copy.deepcopy(json.loads(examples.values()[0]))
    with pytest.raises(jsonschema_rs.ValidationError):
        VALUE.validate(found | {member: wrong})
