"""Every event that the sandbox shows becomes a valid record that tells nothing it must not."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest

from streamer.audit.catalog import TOPICS
from streamer.audit.chain import follows, genesis
from streamer.audit.privacy import Privacy
from streamer.audit.record import restore
from streamer.audit.sentence import parse, sentence
from streamer.flatfile.rows import read_row
from streamer.sandbox.account import MARKER
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.views import EventQuery
from streamer.sandbox.world import World
from tests.support.audit_records import ENVIRONMENT, sealed

UNTIL = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
SCHEMA = Path(__file__).parents[2] / "schemas" / "audit-record-1.schema.json"


@pytest.fixture(scope="module")
def elements() -> list[bytes]:
    """12,000 events of all topics, as the API would send them."""
    world = World(SandboxOptions(until=UNTIL, events=12_000), UNTIL.timestamp)
    found: list[bytes] = []
    for environment_id in world.account.environments:
        query = EventQuery(1, 1, environment_id=environment_id, include_acknowledged=True)
        view = world.view(query)
        for timeline, runs in view.rows(0, len(view)):
            found.extend(timeline.event(index) for run in runs for index in run)
    return found


def test_every_event_of_the_sandbox_makes_a_valid_record(elements: list[bytes]) -> None:
    """Valid by the schema, in one chain, readable as a sentence, and of every topic."""
    schema = jsonschema_rs.Draft202012Validator(
        json.loads(SCHEMA.read_bytes()), validate_formats=True
    )
    topics: Counter[str] = Counter()
    head = genesis(ENVIRONMENT.id).head
    for one in sealed(*map(read_row, elements)):
        record = parse(one.value)
        schema.validate(record)
        assert follows(one.value, head)
        head = restore(one.value).digest
        topics[record["action"]] += 1
        assert "did " not in sentence(record)
    assert set(topics) == set(TOPICS)


def test_no_planted_credential_of_the_sandbox_is_published(elements: list[bytes]) -> None:
    """The sandbox marks its credentials: the mark is in no record, header or dead letter."""
    assert sum(MARKER.encode() in element for element in elements) > 100
    rows = list(map(read_row, elements))
    stubs = sealed(*rows, refused=[row.id for row in rows if row.id])
    for one in (*sealed(*rows), *stubs):
        letters = b"".join(letter.value for letter in one.dead_letters)
        assert MARKER.encode() not in one.value + letters + repr(one.headers).encode()


def test_what_is_not_redacted_is_as_the_sandbox_sent_it(elements: list[bytes]) -> None:
    """Context and payload are in the record byte for byte wherever nothing was taken out."""
    untouched = 0
    for element, one in zip(elements, sealed(*map(read_row, elements)), strict=True):
        if b'"redacted":' in one.value:
            continue
        untouched += 1
        payload = re.search(rb'"payload":(\{.*?\}),"(?:attributes|callbackUrl)":', element)
        assert payload is not None
        assert b',"payload":' + payload[1] in one.value
    assert untouched > 0.9 * len(elements)


def test_no_address_of_the_sandbox_is_published_under_a_policy(elements: list[bytes]) -> None:
    """Under both policies no record holds anything that looks like an e-mail address."""
    rows = list(map(read_row, elements[:3000]))
    address = re.compile(rb"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+\.[a-z]+")
    assert any(address.search(element) for element in elements[:3000])
    for privacy in (Privacy("pseudonymize", b"k"), Privacy("drop")):
        for one in sealed(*rows, privacy=privacy):
            assert address.search(one.value) is None
