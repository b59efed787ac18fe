"""The record: what it says, that it copies bytes, and what can be read back of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamer.audit import chain
from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.fragments import Pieces
from streamer.audit.names import Named
from streamer.audit.normalize import read
from streamer.audit.record import NoRecordError, restore
from streamer.flatfile.models import Environment, Event
from streamer.flatfile.rows import read_row
from tests.support.audit_records import ADA, CREATED_AT, encoder, event, record, row, sealed

PARTS = ("context", "attributes", "origin", "payload")


def test_a_record_says_who_did_what_where() -> None:
    """The fixed members of an ordinary event's record."""
    found = record(event())
    assert found["actor"] == {
        "type": "user",
        "id": ADA.id,
        "name": "Ada Park",
        "email": "ada@example.com",
        "resolution": "resolved",
        "as_of": "2026-11-23T20:41:00Z",
    }
    assert found["target"] == {"type": "workbook", "id": "us_wb_Book0001"}
    assert found["environment"] == {
        "id": "us_env_Prod0001",
        "name": "production",
        "production": True,
    }
    assert (found["action"], found["category"], found["operation"]) == (
        "workbook:updated",
        "workbook",
        "update",
    )
    assert (found["outcome"], found["severity"], found["time"]) == ("success", "info", CREATED_AT)


def test_members_are_in_order_and_integrity_is_last() -> None:
    """Fixed members come before what is copied, and the seal ends the record."""
    one = event(
        target="t", namespaces=["a"], attributes={}, origin={}, unknown=1, acknowledgedBy="us_usr_1"
    )
    assert list(record(one)) == [
        *("schema", "id", "revision", "sequence", "time", "observed"),
        *("action", "category", "operation", "outcome", "severity"),
        *("actor", "target", "account", "environment", "space", "domain", "lifecycle"),
        *("namespaces", "event_target", *PARTS, "extra", "integrity"),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a" :  1}',
        b'{"a":"\\ud800","b":"\\u00e9\\/"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1e400,"a":18446744073709551616}',
        b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
        '{"ключ":"é\U0001f600\u2028"}'.encode(),
        b"[1,2]",
        b'"text"',
        b"0",
    ],
)
@pytest.mark.parametrize("part", PARTS)
def test_open_parts_are_copied_byte_for_byte(part: str, raw: bytes) -> None:
    """Whatever a part holds stands in the record as it was sent."""
    element = b'{"id":"us_evt_1","topic":"a:b","createdAt":"%b","%b":%b}' % (
        CREATED_AT.encode(),
        part.encode(),
        raw,
    )
    one = sealed(read_row(element))[0]
    assert b',"%b":%b,"integrity":' % (part.encode(), raw) in one.value
    assert restore(one.value).id == "us_evt_1"


def test_absent_and_null_members_are_left_out() -> None:
    """A record has no null and no member that the event did not have."""
    element = b'{"id":"us_evt_1","topic":"cron:daily","createdAt":"%b","context":null,' % (
        CREATED_AT.encode()
    )
    element += b'"payload":null,"target":null,"namespaces":null,"deletedAt":null,"domain":null}'
    value = sealed(read_row(element))[0].value
    assert b"null" not in value
    assert not set(json.loads(value)) & {*PARTS, "lifecycle", "domain", "space", "extra"}


def test_signed_urls_are_not_in_the_record() -> None:
    """`callbackUrl` and `dataUrl` may be signed: neither is published."""
    value = sealed(event(callbackUrl="https://c.example.com/?sig=1", dataUrl="https://d"))[0].value
    assert b"https://" not in value


def test_what_has_no_place_of_its_own_is_kept_under_extra() -> None:
    """Unknown members, and known ones of another type, are in `extra` as sent."""
    found = record(event(target={"id": 1}, namespaces="one", createdAt="yesterday", weird=[1]))
    assert found["extra"] == {
        "namespaces": "one",
        "target": {"id": 1},
        "createdAt": "yesterday",
        "weird": [1],
    }
    assert "time" not in found


@pytest.mark.parametrize(
    ("actor_id", "kind"),
    [
        ("us_usr_1", "user"),
        ("eu_g_1", "guest"),
        ("uk_ag_1", "agent"),
        ("au_key_1", "api_key"),
        ("ca_pat_1", "access_token"),
        ("us_xyz_1", "unknown"),
        ("usr_1", "unknown"),
        ("../../users", "unknown"),
    ],
)
def test_the_actor_is_told_from_its_id_in_any_region(actor_id: str, kind: str) -> None:
    """The prefix behind the region names the type."""
    actor = record(event(context={"actorId": actor_id}))["actor"]
    assert (actor["type"], actor["id"]) == (kind, actor_id)


def test_an_event_without_actor_is_the_systems() -> None:
    """What nobody did, Flatfile did."""
    actor = record(event(context={}))["actor"]
    assert actor == {"type": "system", "resolution": "not_applicable"}


def test_resolution_tells_gone_from_not_asked() -> None:
    """A deleted actor is `not_found`, one whose look-up failed `unresolved`."""
    gone = {ADA.id: Named(ADA.id, resolution="not_found", as_of="2026-11-23T20:41:00Z")}
    assert record(event(), names=gone)["actor"]["resolution"] == "not_found"
    assert record(event(), names={})["actor"]["resolution"] == "unresolved"


def test_a_renamed_actor_is_renamed_in_the_next_record() -> None:
    """What is kept of an actor is made anew as soon as something else is known."""
    one = encoder()
    draft = read(event())
    first, link = one.encode([draft], {ADA.id: ADA}, CREATED_AT, genesis("e"))
    renamed = Named(ADA.id, "Ada Lovelace", None, "resolved", "2026-11-23T20:51:00Z")
    second, _ = one.encode([draft], {ADA.id: renamed}, CREATED_AT, link)
    assert json.loads(first[0].value)["actor"]["name"] == "Ada Park"
    assert json.loads(second[0].value)["actor"]["name"] == "Ada Lovelace"


TARGETS: list[tuple[str, dict[str, Any], dict[str, str] | None]] = [
    (
        "workbook:updated",
        {"context": {"workbookId": "us_wb_1", "slugs": {"workbook": "payroll"}}},
        {"type": "workbook", "id": "us_wb_1", "name": "payroll"},
    ),
    (
        "workbook:created",
        {"context": {"workbookId": "us_wb_1"}, "payload": {"name": "Payroll"}},
        {"type": "workbook", "id": "us_wb_1", "name": "Payroll"},
    ),
    (
        "workbook:updated",
        {"context": {"workbookId": "us_wb_1"}, "origin": {"id": "us_wb_1", "slug": "pay"}},
        {"type": "workbook", "id": "us_wb_1", "name": "pay"},
    ),
    (
        "records:deleted",
        {"context": {"sheetId": "us_sh_1", "sheetSlug": "staff"}},
        {"type": "sheet", "id": "us_sh_1", "name": "staff"},
    ),
    (
        "job:ready",
        {"context": {"jobId": "us_jb_1"}, "payload": {"job": "file:extract"}},
        {"type": "job", "id": "us_jb_1", "name": "file:extract"},
    ),
    ("agent:created", {"payload": {"agentId": "us_ag_1"}}, {"type": "agent", "id": "us_ag_1"}),
    ("secret:created", {"payload": {"secretId": "us_sec_1"}}, {"type": "secret", "id": "us_sec_1"}),
    (
        "canvas:updated",
        {"context": {}, "payload": {"id": "us_cv_1", "name": "Board"}},
        {"type": "canvas", "id": "us_cv_1", "name": "Board"},
    ),
    (
        "commit:created",
        {"context": {"versionId": "us_vr_1"}},
        {"type": "commit", "id": "us_vr_1"},
    ),
    (
        "environment:deleted",
        {"payload": {"environmentId": "us_env_Other"}},
        {"type": "environment", "id": "us_env_Other"},
    ),
    (
        "cron:daily",
        {"context": {}},
        {"type": "environment", "id": "us_env_Prod0001", "name": "production"},
    ),
    (
        "space:guestAdded",
        {"context": {"actorId": "us_g_1", "spaceId": "us_sp_1"}},
        {"type": "guest", "id": "us_g_1"},
    ),
    (
        "space:guestAdded",
        {"context": {"actorId": "us_usr_1"}, "payload": {"who": {"id": "us_g_2"}}},
        {"type": "guest", "id": "us_g_2"},
    ),
    (
        "space:guestRemoved",
        {"context": {"actorId": "us_usr_1", "spaceId": "us_sp_1"}},
        {"type": "space", "id": "us_sp_1"},
    ),
    (
        "webhook:created",
        {"context": {}, "payload": {"webhookId": "us_wh_1"}},
        {"type": "webhook", "id": "us_wh_1"},
    ),
    ("flag:updated", {"context": {}}, None),
]


@pytest.mark.parametrize(("topic", "members", "target"), TARGETS)
def test_the_target_is_found_where_the_topic_keeps_it(
    topic: str, members: dict[str, Any], target: dict[str, str] | None
) -> None:
    """Context, payload or origin names what was acted on."""
    assert record(event(topic, **members)).get("target") == target


def test_a_context_with_odd_members_still_names_who_and_where() -> None:
    """A member of another type, or a lone surrogate, costs only itself."""
    element = b'{"id":"us_evt_1","topic":"sheet:updated","createdAt":"%b",' % CREATED_AT.encode()
    element += (
        b'"context":{"jobId":7,"actorId":"us_usr_1","sheetSlug":"\\ud800","sheetId":"us_sh_1"}}'
    )
    found = record(read_row(element))
    assert found["actor"]["id"] == "us_usr_1"
    assert found["target"] == {"type": "sheet", "id": "us_sh_1"}


def test_a_name_is_cut_to_a_bounded_length() -> None:
    """A title of a megabyte stays in the payload as sent, and is cut as the target's name."""
    title = "x" * 100_000
    found = record(
        event("thread:created", context={"threadId": "us_th_1"}, payload={"title": title})
    )
    assert found["target"]["name"] == "x" * 256 + "…"
    assert found["payload"]["title"] == title


def test_a_failed_job_is_a_failure_under_any_topic() -> None:
    """The job's own status overrules what the topic suggests."""
    assert record(event("job:updated", payload={"status": "failed"}))["outcome"] == "failure"
    assert record(event("job:updated", payload={"status": "ready"}))["outcome"] == "success"
    assert record(event("job:failed"))["outcome"] == "failure"


def test_an_event_erased_after_the_fact_stands_out() -> None:
    """A later revision with `deletedAt` is of high severity and says when."""
    found = record(event(deletedAt="2026-11-24T00:00:00.000Z"), revision=2)
    assert (found["revision"], found["severity"]) == (2, "high")
    assert found["lifecycle"] == {"deletedAt": "2026-11-24T00:00:00.000Z"}


def test_a_restart_reads_back_what_it_needs() -> None:
    """Identity, revision, number, environment, time, lifecycle and both hashes."""
    one = sealed(event(deletedAt="2026-11-24T00:00:00.000Z"), revision=2)[0]
    found = restore(one.value)
    assert (found.id, found.revision, found.sequence) == ("us_evt_00000001", 2, 1)
    assert (found.environment.id, found.time) == ("us_env_Prod0001", CREATED_AT)
    assert found.lifecycle.deleted_at == "2026-11-24T00:00:00.000Z"
    seal = chain.unseal(one.value)
    assert (found.previous, found.digest) == (seal.previous, seal.digest)


def test_reading_back_is_not_fooled_by_a_payload_that_looks_like_a_record() -> None:
    """Members of the same names inside a payload are not the record's."""
    fake = {"x": 1, "context": {"id": "fake", "sequence": 9}, "integrity": {"hash": "0"}}
    one = sealed(event(context=None, payload=fake, origin={"id": "fake", "context": 1}))[0]
    assert (restore(one.value).id, restore(one.value).sequence) == ("us_evt_00000001", 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value[:-1],
        lambda value: value.replace(b"audit/1", b"audit/2", 1),
        lambda value: value.replace(b'"revision":1', b'"revision":"x"', 1),
        lambda value: value[:0],
    ],
)
def test_what_is_no_record_is_not_read_back(change: Any) -> None:  # noqa: ANN401
    """Foreign, cut or newer messages raise one error."""
    with pytest.raises(NoRecordError):
        restore(change(sealed(event())[0].value))


def test_hostile_names_neither_break_the_record_nor_make_it_large() -> None:
    """Quotes, control characters and a megabyte of name stay inside their string."""
    name = 'x","context":{"a":"\x1b[2J\u202e' + "y" * 1_000_000
    hostile = {ADA.id: Named(ADA.id, name, None, "resolved", "2026-11-23T20:41:00Z")}
    one = sealed(event(), names=hostile)[0]
    assert json.loads(one.value)["actor"]["name"].startswith('x","context":{"a":"\x1b[2J\u202ey')
    assert len(one.value) < 4_000
    assert restore(one.value).sequence == 1


def test_an_id_of_any_characters_is_kept() -> None:
    """An event's id need not look like one."""
    assert record(event(id='us_evt_"\\\né'))["id"] == 'us_evt_"\\\né'


def test_an_environment_of_which_only_the_id_is_known_has_records() -> None:
    """Name and account are left out as long as nobody knows them."""
    bare = Encoder(Environment(id="us_env_1"), None, max_record_bytes=1_000_000)
    records, _ = bare.encode([read(event())], {}, CREATED_AT, genesis("us_env_1"))
    found = json.loads(records[0].value)
    assert found["environment"] == {"id": "us_env_1", "production": False}
    assert "account" not in found


def test_events_are_events() -> None:
    """The builder of these tests makes typed events, not stubs."""
    assert isinstance(row(), Event)


def test_encoders_share_what_they_keep() -> None:
    """What is kept of records is bounded for all environments together."""
    pieces = Pieces()
    for number in range(3):
        environment = Environment(id=f"us_env_{number}", name="a")
        bare = Encoder(environment, None, max_record_bytes=1_000_000, pieces=pieces)
        drafts = [read(event(context={"actorId": f"us_usr_{one}"})) for one in range(1500)]
        bare.encode(drafts, {}, "2026-03-01T12:00:00Z", genesis(environment.id))
        assert len(pieces.actors) == 1500
