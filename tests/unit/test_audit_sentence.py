"""Records as sentences."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.audit.names import Named
from streamer.audit.sentence import UnreadableRecordError, parse, sentence
from streamer.flatfile.rows import read_row
from tests.support.audit_records import event, record, sealed

PAYROLL: dict[str, Any] = {"workbookId": "us_wb_1", "slugs": {"workbook": "Payroll"}}
GUEST = Named("us_g_1", "Ben Ode", None, "resolved", "2026-11-23T20:41:00Z")


@pytest.mark.parametrize(
    ("topic", "members", "expected"),
    [
        (
            "workbook:updated",
            {"context": {**PAYROLL, "actorId": "us_g_1"}},
            "Ben Ode (guest) updated workbook Payroll in production",
        ),
        (
            "workbook:expired",
            {"context": PAYROLL},
            "Workbook Payroll expired in production",
        ),
        (
            "records:deleted",
            {"context": {"actorId": "us_key_1"}, "payload": {"recordCount": 1200}},
            "An API key (us_key_1) deleted 1,200 records from a sheet in production",
        ),
        (
            "job:failed",
            {"context": {"jobId": "us_jb_1"}, "payload": {"job": "space:configure"}},
            "Job space:configure failed in production",
        ),
        (
            "space:guestAdded",
            {"context": {"actorId": "us_g_1", "spaceId": "us_sp_1"}},
            "Guest Ben Ode was added to space us_sp_1 in production",
        ),
        (
            "space:guestRemoved",
            {"context": {"actorId": "us_usr_9"}, "payload": {"guestId": "us_g_1"}},
            "A user (us_usr_9) removed guest Ben Ode from a space in production",
        ),
        (
            "space:guestAdded",
            {"context": {"actorId": "us_usr_9", "spaceId": "us_sp_1"}},
            "A user (us_usr_9) added a guest to space us_sp_1 in production",
        ),
        (
            "environment:updated",
            {"context": {"actorId": "us_usr_9"}},
            "A user (us_usr_9) updated environment production",
        ),
        ("cron:hourly", {"context": {}}, "An hour passed in production"),
        (
            "webhook:rotated",
            {"context": {"actorId": "us_usr_9"}},
            "A user (us_usr_9) did webhook:rotated to a webhook in production",
        ),
    ],
)
def test_a_record_reads_as_a_sentence(topic: str, members: dict[str, Any], expected: str) -> None:
    """Who, what, to what, where, with names where they are known."""
    assert sentence(record(event(topic, **members), names={GUEST.id: GUEST})) == expected


def test_an_erased_event_says_so_first() -> None:
    """What an auditor most wants to see is not hidden behind the deed."""
    erased = record(
        event(context=PAYROLL, deletedAt="2026-11-24T00:00:00.000Z"), revision=2, names={}
    )
    assert sentence(erased).startswith("Erased after the fact: Flatfile updated workbook Payroll")


def test_a_stub_says_what_is_missing_and_why() -> None:
    """A dead letter is named as such."""
    assert sentence(record(read_row(b"nonsense"))) == (
        "Something could not be recorded in full: an event in production (not json)"
    )


def test_a_record_that_strict_decoders_refuse_still_reads() -> None:
    """A lone surrogate in a payload does not keep a record from being shown."""
    element = b'{"id":"e","topic":"cron:daily","createdAt":"x","payload":{"a":"\\ud800"}}'
    assert sentence(parse(sealed(read_row(element))[0].value)) == "A day passed in production"


@pytest.mark.parametrize("value", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_what_cannot_be_shown_raises_one_error(value: bytes) -> None:
    """Foreign bytes are told from records."""
    with pytest.raises(UnreadableRecordError):
        parse(value)


@pytest.mark.parametrize("foreign", [{}, {"actor": 1, "target": [], "action": 7, "revision": "x"}])
def test_a_foreign_object_still_makes_some_sentence(foreign: dict[str, Any]) -> None:
    """Whatever the topic holds, the reader goes on."""
    assert isinstance(sentence(foreign), str)
