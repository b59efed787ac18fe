"""The examples and the table of sentences that are checked in are what the code makes."""

from __future__ import annotations

from pathlib import Path

from streamer.audit import examples
from streamer.audit.catalog import TOPICS
from streamer.audit.chain import follows, genesis
from streamer.audit.record import restore
from streamer.audit.sentence import parse
from streamer.inventory import examples as inventory

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"


def test_what_is_checked_in_is_current() -> None:
    """Whoever changes the record sees in the diff what becomes of every topic."""
    made = {**examples.files(), **inventory.files()}
    assert {path.name: path.read_bytes() for path in EXAMPLES.iterdir()} == made


def test_there_is_one_example_per_topic_and_they_are_a_chain() -> None:
    """Every documented topic has a record, and together they verify."""
    records = examples.records()
    assert [parse(record)["action"] for record in records] == list(TOPICS)
    head = genesis(parse(records[0])["environment"]["id"]).head
    for record in records:
        assert follows(record, head)
        head = restore(record).digest


def test_every_topic_has_a_target_and_a_sentence() -> None:
    """No example lacks what was acted on, and no sentence falls back to the topic's name."""
    for record in map(parse, examples.records()):
        assert record["target"]["id"]
    assert "did " not in examples.table()
