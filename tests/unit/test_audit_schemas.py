"""What is published is what `schemas/` says, and the schemas refuse what is not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from streamer.audit import checkpoint, examples
from streamer.audit.cloudevents import SCHEMA_ID
from streamer.audit.privacy import Privacy
from streamer.audit.sentence import parse
from streamer.flatfile.rows import read_row
from tests.support.audit_records import CHECKPOINT, SHARD, event, record, sealed

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = Path(__file__).parents[2] / "schemas"
DOCUMENTS = {path.name: json.loads(path.read_bytes()) for path in SCHEMAS.glob("*.schema.json")}


def _validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(DOCUMENTS[name], validate_formats=True)


RECORD = _validator("audit-record-1.schema.json")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_a_valid_2020_12_schema_named_after_its_file(name: str) -> None:
    """The id ends in the file's name, so that references work by id and by path."""
    document = DOCUMENTS[name]
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == f"https://flatfile-streamer.invalid/schemas/{name}"
    jsonschema_rs.meta.validate(document)


def test_records_name_the_schema_that_they_follow() -> None:
    """`ce_dataschema` is the `$id` of the record's schema."""
    assert DOCUMENTS["audit-record-1.schema.json"]["$id"] == SCHEMA_ID


@pytest.mark.parametrize("value", examples.records(), ids=lambda value: parse(value)["action"])
def test_every_topics_record_passes(value: bytes) -> None:
    """All 82 examples are valid."""
    RECORD.validate(parse(value))
    assert set(parse(value)) <= set(DOCUMENTS["audit-record-1.schema.json"]["properties"])


@pytest.mark.parametrize(
    "made",
    [
        lambda: record(event(deletedAt="2026-11-24T00:00:00.000Z"), revision=2),
        lambda: record(event(context={}), names={}),
        lambda: record(event(context={"actorId": "us_pat_1"}, weird=1, createdAt="soon")),
        lambda: record(event(target="t", namespaces=[], attributes=[], origin="x", payload=7)),
        lambda: record(event(payload={"token": "t"})),
        lambda: record(read_row(b"nonsense")),
        lambda: record(read_row(b'{"payload":{"token":"x"}}')),
        lambda: record(event(payload={"v": "x" * 9_000}), max_record_bytes=9_000),
        lambda: record(event(payload={"m": "a@b.example"}), privacy=Privacy("pseudonymize", b"k")),
        lambda: record(event(payload={"m": "a@b.example"}), privacy=Privacy("drop")),
        lambda: record(read_row(b"{}"), privacy=Privacy("pseudonymize", b"k")),
        lambda: record(event("webhook:rotated", context={"actorId": "?"})),
    ],
)
def test_unusual_records_pass(made: Callable[[], dict[str, Any]]) -> None:
    """Stubs, later revisions, redacted and pseudonymous records are valid, too."""
    found = made()
    RECORD.validate(found)
    assert set(found) <= set(DOCUMENTS["audit-record-1.schema.json"]["properties"])


def _changed(**members: Any) -> dict[str, Any]:  # noqa: ANN401
    found = copy.deepcopy(record(event()))
    for path, value in members.items():
        place = found
        *parents, last = path.split("__")
        for name in parents:
            place = place[name]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "flatfile.audit/2"},
        {"sequence": 0},
        {"sequence": "1"},
        {"revision": None},
        {"time": "yesterday"},
        {"operation": "rename"},
        {"severity": "fatal"},
        {"actor__type": "person"},
        {"actor__id": None},
        {"actor": {"type": "system", "id": "us_usr_1", "resolution": "not_applicable"}},
        {"actor__resolution": "unresolved"},
        {"target__type": None},
        {"environment__production": "true"},
        {"action": None},
        {"context": {"__null__": True}},
        {"redacted": []},
        {"privacy": {"policy": "pseudonymize"}},
        {"payload_omitted": {"reason": "too_large", "bytes": 1}},
        {"integrity__hash": "AB" * 32},
        {"integrity": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_wrong_record_is_refused(change: dict[str, Any]) -> None:
    """Each of these differs from a valid record in one member."""
    wrong = _changed(**change)
    if wrong.get("context") == {"__null__": True}:
        wrong["context"] = None
    assert RECORD.is_valid(_changed())
    assert not RECORD.is_valid(wrong)


def test_checkpoints_and_shard_records_pass() -> None:
    """What the checkpoint topic holds is valid, and what differs is not."""
    checkpoints = _validator("checkpoint-1.schema.json")
    shards = _validator("shard-1.schema.json")
    checkpoints.validate(json.loads(checkpoint.encode(CHECKPOINT)))
    shards.validate(json.loads(checkpoint.encode_shard(SHARD)))
    assert not checkpoints.is_valid(json.loads(checkpoint.encode_shard(SHARD)))
    assert not shards.is_valid(json.loads(checkpoint.encode(CHECKPOINT)))


@pytest.mark.parametrize("privacy", [Privacy(), Privacy("pseudonymize", b"k"), Privacy("drop")])
def test_the_headers_of_dead_letters_pass(privacy: Privacy) -> None:
    """Under every policy, for each part of one that was split."""
    headers = _validator("dead-letter-headers-1.schema.json")
    for row in (read_row(b"nonsense"), event(payload={"v": "x" * 30_000})):
        letters = sealed(row, max_record_bytes=9_000, privacy=privacy)[0].dead_letters
        assert letters
        for letter in letters:
            found = {name: value.decode() for name, value in letter.headers}
            headers.validate(found)
            assert not headers.is_valid({**found, "part": "0"})
