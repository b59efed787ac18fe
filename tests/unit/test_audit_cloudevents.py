"""The headers: read back by the CloudEvents SDK, and exactly those of the specification."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat

from streamer.audit.catalog import TOPICS
from streamer.audit.cloudevents import instant
from streamer.flatfile.rows import read_row
from tests.support.audit_records import CREATED_AT, ENVIRONMENT, OBSERVED, event, sealed


def test_the_headers_of_an_ordinary_record_are_as_specified() -> None:
    """Each header of the table, with its value, and no other."""
    context = {
        "actorId": "us_usr_Ada00001",
        "workbookId": "us_wb_1",
        "jobId": "us_jb_1",
        "precedingEventId": "us_evt_0",
    }
    headers = sealed(event(context=context))[0].headers
    assert len(headers) == len(dict(headers)) == 15
    assert {name: value.decode() for name, value in headers} == {
        "ce_specversion": "1.0",
        "content-type": "application/json",
        "ce_id": "us_evt_00000001",
        "ce_source": f"https://platform.flatfile.com/environments/{ENVIRONMENT.id}",
        "ce_type": "com.flatfile.workbook.updated",
        "ce_time": CREATED_AT,
        "ce_recordedtime": OBSERVED,
        "ce_dataschema": ("https://flatfile-streamer.invalid/schemas/audit-record-1.schema.json"),
        "ce_partitionkey": ENVIRONMENT.id,
        "ce_sequence": "0000000000000000001",
        "ce_authtype": "user",
        "ce_authid": "us_usr_Ada00001",
        "ce_correlationid": "us_jb_1",
        "ce_causationid": "us_evt_0",
        "ce_subject": "us_wb_1",
    }


def headers_of(one: object, **how: object) -> dict[str, str]:
    """Return a record's headers."""
    return {name: value.decode() for name, value in sealed(one, **how)[0].headers}  # type: ignore[arg-type]


def test_a_later_revision_has_an_id_of_its_own() -> None:
    """Consumers may drop equal pairs of source and id: a revision must not be one."""
    headers = headers_of(event(), revision=3)
    assert headers["ce_id"] == "us_evt_00000001:3"
    assert headers["ce_revision"] == "3"
    assert "ce_revision" not in headers_of(event())


def test_headers_without_a_value_are_left_out() -> None:
    """No target, no actor, no job, no time: no header, since an empty one is refused."""
    headers = headers_of(event("flag:created", context={"jobId": ""}, createdAt="soon"))
    assert not set(headers) & {
        *("ce_subject", "ce_authid", "ce_correlationid", "ce_causationid", "ce_time")
    }
    assert headers["ce_authtype"] == "system"


@pytest.mark.parametrize(
    ("actor_id", "authtype"),
    [
        ("us_usr_1", "user"),
        ("us_pat_1", "user"),
        ("us_g_1", "app_user"),
        ("us_ag_1", "service_account"),
        ("us_key_1", "api_key"),
        ("what", "unknown"),
    ],
)
def test_authtype_is_one_of_the_extensions_words(actor_id: str, authtype: str) -> None:
    """The extension authcontext has its own names for the types of actors."""
    headers = headers_of(event(context={"actorId": actor_id}))
    assert (headers["ce_authtype"], headers["ce_authid"]) == (authtype, actor_id)


@pytest.mark.parametrize("topic", [*TOPICS, "webhook:created", "odd topic:ü"])
def test_the_sdk_reads_every_topics_record_back(topic: str) -> None:
    """An independent implementation sees the attributes and the very bytes."""
    one = sealed(event(topic, id="us_evt_é"), revision=2)[0]
    message = KafkaMessage(headers=dict(one.headers), key=ENVIRONMENT.id.encode(), value=one.value)
    read = from_kafka(message, JSONFormat())
    assert read.get_id() == "us_evt_é:2"
    assert read.get_type() == "com.flatfile." + topic.replace(":", ".")
    assert read.get_time() == datetime(2026, 11, 23, 20, 46, 4, 300_000, tzinfo=UTC)
    assert read.get_extension("sequence") == "0000000000000000001"
    assert read.get_data() == json.loads(one.value)


def test_the_sdk_reads_a_stub_back() -> None:
    """A dead letter's stub is a CloudEvent like any other."""
    one = sealed(read_row(b"nonsense"))[0]
    read = from_kafka(
        KafkaMessage(headers=dict(one.headers), key=b"k", value=one.value), JSONFormat()
    )
    assert read.get_type() == "com.flatfile.unknown"
    assert "ce_time" not in dict(one.headers)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-11-23T20:46:04.300Z", "2026-11-23T20:46:04.300Z"),
        ("2026-11-23T20:46:04Z", "2026-11-23T20:46:04.000000Z"),
        ("2026-11-23T22:46:04.123456+02:00", "2026-11-23T20:46:04.123456Z"),
        ("2026-11-23T20:46:04.123456789Z", "2026-11-23T20:46:04.123456Z"),
        ("2026-02-30T20:46:04.300Z", None),
        ("2026-11-23T25:46:04.300Z", None),
        ("2026-11-23T20:46:04.300", None),
        ("2026-11-23 20:46:04.300Z", None),
        ("20261123T204604.300000Z", None),
        ("2026-W48-1T20:46:04.30Z", None),
        ("٢026-11-23T20:46:04.300Z", None),
        ("0001-01-01T00:00:00+12:00", None),
        ("yesterday", None),
        ("", None),
        ("\ud800", None),
    ],
)
def test_only_a_date_time_is_a_time(sent: str, expected: str | None) -> None:
    """RFC 3339 with a zone becomes UTC; anything else is no time."""
    found = instant(sent)
    assert (found and found.decode()) == expected
