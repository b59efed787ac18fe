"""Dead letters and stubs: nothing is lost, nothing holds the rest up, the chain goes through."""

from __future__ import annotations

import hashlib
import json

import pytest

from streamer.audit import chain
from streamer.audit.deadletter import HEADROOM_BYTES
from streamer.audit.identity import identity
from streamer.audit.record import restore
from streamer.flatfile.models import BrokenEvent
from streamer.flatfile.rows import read_row
from tests.support.audit_records import CREATED_AT, ENVIRONMENT, OBSERVED, event, sealed

NO_ID = b'{"topic":"a:b","createdAt":"%b","payload":{"x":"\\ud800"}}' % CREATED_AT.encode()


def test_a_broken_element_becomes_a_dead_letter_and_a_stub() -> None:
    """Its bytes go out raw; its record says what could be read, and vouches for the bytes."""
    one = sealed(read_row(NO_ID))[0]
    found = json.loads(one.value)
    assert found["id"] == one.id == f"sha256:{hashlib.sha256(NO_ID).hexdigest()}"
    assert (found["action"], found["time"], found["outcome"]) == ("a:b", CREATED_AT, "unknown")
    assert found["actor"] == {"type": "unknown", "resolution": "not_applicable"}
    assert found["payload_omitted"] == {
        "reason": "no_id",
        "bytes": len(NO_ID),
        "sha256": hashlib.sha256(NO_ID).hexdigest(),
    }
    assert [letter.value for letter in one.dead_letters] == [NO_ID]


def test_a_dead_letter_says_why_where_and_when() -> None:
    """Its headers lead to the stub, and none makes it a CloudEvent."""
    headers = dict(sealed(read_row(NO_ID))[0].dead_letters[0].headers)
    assert headers == {
        "reason": b"no_id",
        "environment": ENVIRONMENT.id.encode(),
        "id": f"sha256:{hashlib.sha256(NO_ID).hexdigest()}".encode(),
        "revision": b"1",
        "sequence": b"1",
        "observed": OBSERVED.encode(),
        "parts": b"1",
        "part": b"1",
        "sha256": hashlib.sha256(NO_ID).hexdigest().encode(),
    }


def test_a_stub_is_in_the_chain_between_its_neighbours() -> None:
    """One broken element takes a number and holds no other event up."""
    records = sealed(event(id="us_evt_1"), read_row(b"nonsense"), event(id="us_evt_3"))
    head = chain.genesis(ENVIRONMENT.id).head
    for number, one in enumerate(records, start=1):
        assert chain.follows(one.value, head)
        assert (restore(one.value).id, one.sequence) == (one.id, number)
        head = restore(one.value).digest


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"id":7}', b'{"id":"x"}', b'"' * 1000]
)
def test_anything_at_all_can_be_published(raw: bytes) -> None:
    """Whatever stands in the place of an event has a record, known by what identifies it."""
    row = read_row(raw)
    assert isinstance(row, BrokenEvent)
    one = sealed(row)[0]
    assert one.id == identity(row) == restore(one.value).id
    assert b"".join(letter.value for letter in one.dead_letters) == raw


def test_a_large_event_is_split_and_put_together_again() -> None:
    """The parts, in order, are the event without its signed URLs; each fits the broker."""
    limit = 10_000
    large = event(payload={"v": "é" * 20_000}, dataUrl="https://signed", extra_member=1)
    one = sealed(large, max_record_bytes=limit)[0]
    assert len(one.value) < limit
    assert len(one.dead_letters) > 1
    for number, letter in enumerate(one.dead_letters, start=1):
        headers = dict(letter.headers)
        assert len(letter.value) <= limit - HEADROOM_BYTES
        assert headers["part"] == str(number).encode()
        assert headers["parts"] == str(len(one.dead_letters)).encode()
    whole = b"".join(letter.value for letter in one.dead_letters)
    assert json.loads(whole)["payload"] == {"v": "é" * 20_000}
    assert json.loads(whole)["extra_member"] == 1
    assert b"signed" not in whole
    omitted = json.loads(one.value)["payload_omitted"]
    assert omitted == {
        "reason": "too_large",
        "bytes": len(whole),
        "sha256": hashlib.sha256(whole).hexdigest(),
    }


def test_the_stub_of_a_large_event_still_says_who_and_where() -> None:
    """Only the open parts are left out; a context of usual size stays."""
    found = json.loads(sealed(event(payload={"v": "x" * 9_000}), max_record_bytes=9_000)[0].value)
    assert found["actor"]["name"] == "Ada Park"
    assert found["target"]["id"] == found["context"]["workbookId"] == "us_wb_Book0001"
    assert "payload" not in found


@pytest.mark.parametrize(
    "members",
    [
        {"topic": "x" * 500_000},
        {"domain": "x" * 500_000},
        {"createdAt": "x" * 500_000},
        {"acknowledgedBy": "x" * 500_000},
        {"id": "x" * 500_000},
        {"context": {"actorId": "x" * 500_000, "spaceId": "y" * 500_000}},
        {"context": {"jobId": "x" * 500_000, "precedingEventId": "y" * 500_000}},
        {"payload": {"name": "x" * 500_000}},
        {"namespaces": ["x" * 500_000]},
        {"payload": {f"k{i}": {"token": "x"} for i in range(20_000)}},
    ],
    ids=lambda members: next(iter(members)),
)
def test_no_event_makes_a_stub_that_is_itself_too_large(members: dict[str, object]) -> None:
    """Whichever member is huge, the record and its headers fit the broker."""
    topic = str(members.pop("topic", "workbook:updated"))
    one = sealed(event(topic, **members), max_record_bytes=50_000)[0]
    assert len(one.value) + sum(len(name) + len(value) for name, value in one.headers) < 50_000
    assert restore(one.value).id == one.id


def test_a_context_does_not_make_a_stub_too_large_where_the_broker_takes_little() -> None:
    """Under a limit of 16 KB the stub fits, although its event's context would fill it."""
    large = event(context={"actorId": "us_usr_1", "note": "x" * 14_000}, payload={"v": "x" * 9_000})
    one = sealed(large, max_record_bytes=16 * 1024)[0]
    assert len(one.value) + sum(len(name) + len(value) for name, value in one.headers) < 16_000
    assert "context" not in json.loads(one.value)


def test_an_event_that_the_broker_refuses_alone_goes_out_as_a_stub() -> None:
    """Whoever learns that a record is refused names its event, and the rest goes on."""
    records = sealed(event(id="us_evt_1"), event(id="us_evt_2"), refused=["us_evt_2"])
    assert "payload_omitted" not in json.loads(records[0].value)
    assert json.loads(records[1].value)["payload_omitted"]["reason"] == "refused"
    assert records[1].dead_letters[0].reason == "refused"
    assert records[1].id == "us_evt_2"


def test_a_credential_is_gone_before_a_dead_letter_is_split() -> None:
    """No cut can make a credential unrecognisable."""
    secret = "s" * 200
    raw = json.dumps({"id": 1, "a": [{"token": secret, "pad": "x" * 37} for _ in range(100)]})
    letters = sealed(read_row(raw.encode()), max_record_bytes=HEADROOM_BYTES + 150)[0].dead_letters
    assert len(letters) > 10
    assert b"sss" not in b"".join(letter.value for letter in letters)
