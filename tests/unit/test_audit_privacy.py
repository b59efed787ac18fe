"""Personal data under a policy: gone from every record, or under a stable pseudonym."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamer.audit.names import Named
from streamer.audit.privacy import Privacy
from streamer.flatfile.models import BrokenEvent
from streamer.flatfile.rows import read_row
from tests.support.audit_records import ADA, event, record, sealed

KEY = b"0123456789abcdef"
POLICIES = [Privacy("pseudonymize", KEY), Privacy("drop"), Privacy("drop", KEY)]
MAIL = "ben.ode+x@partner.example.com"
PLACES: dict[str, dict[str, Any]] = {
    "payload": {"payload": {"a": [{"email": MAIL}]}},
    "inside a text": {"payload": {"note": f"Ask <{MAIL}>, please."}},
    "as a key": {"payload": {MAIL: 1}},
    "json in a string": {"payload": {"body": json.dumps({"mail": MAIL})}},
    "in a url": {"payload": {"u": "https://x/?to=" + MAIL.replace("@", "%40")}},
    "attributes": {"attributes": {"x": MAIL}},
    "origin": {"origin": {"slug": MAIL}},
    "context": {"context": {"slugs": {"sheet": MAIL}, "sheetId": "us_sh_1"}},
    "job's id": {"context": {"jobId": MAIL}},
    "preceding event's id": {"context": {"precedingEventId": f"after {MAIL}"}},
    "target name": {"payload": {"name": MAIL}},
    "namespaces": {"namespaces": [MAIL]},
    "event target": {"target": MAIL},
    "unknown member": {"whatever": MAIL},
    "acknowledged by": {"acknowledgedBy": MAIL},
    "created at": {"createdAt": MAIL},
    "domain": {"domain": MAIL},
    "metadata": {"payload": {"user": {"metadata": {"born": "1990-ben.ode"}}}},
    "actor's name": {"payload": {"by": "Entered by Ada Park."}},
    "actor's name in capitals": {"payload": {"by": "ADA PARK"}},
    "actor's name as target": {"payload": {"name": "Ada Park's book"}},
}


def _published(*rows: Any, **how: Any) -> bytes:  # noqa: ANN401
    return b"".join(
        one.value + repr(one.headers).encode() + b"".join(d.value for d in one.dead_letters)
        for one in sealed(*rows, **how)
    )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("privacy", POLICIES, ids=lambda privacy: privacy.policy)
def test_no_policy_lets_personal_data_out(place: str, privacy: Privacy) -> None:
    """Neither an address nor the actor's name is anywhere, also if the event is a dead letter."""
    one = event(**PLACES[place])
    for how in ({}, {"max_record_bytes": 6_000, "refused": [one.id]}):
        published = _published(one, privacy=privacy, **how).lower()
        assert b"ben.ode" not in published
        assert b"ada park" not in published
        assert b"ada@" not in published


@pytest.mark.parametrize(
    "escaped", [b"ben.ode\\u0040partner.example.com", b"b\\u0065n.ode@x.example"]
)
def test_an_address_with_escapes_is_found(escaped: bytes) -> None:
    """However it is written, it is an address."""
    raw = b'{"id":"e","topic":"a:b","createdAt":"x","payload":{"m":"%b"}}' % escaped
    for privacy in POLICIES:
        assert escaped not in _published(read_row(raw), privacy=privacy)


@pytest.mark.parametrize("character", ["é", "€", "𐀀"])
@pytest.mark.parametrize("length", range(28, 36))
def test_an_address_is_cut_out_between_characters(character: str, length: int) -> None:
    """How far back one is looked for is bounded in bytes; what is left is still UTF-8."""
    note = f"{character * length}a@x.example"
    raw = b'{"id":"e","topic":"a:b","createdAt":"x","payload":{"m":"%b"}}' % note.encode()
    for privacy in POLICIES:
        (one,) = sealed(read_row(raw), privacy=privacy)
        assert "x.example" not in json.loads(one.value)["payload"]["m"]


def test_without_a_policy_everything_is_clear() -> None:
    """The default changes nothing, and the record does not mention a policy."""
    one = event(**PLACES["payload"])
    assert MAIL in json.dumps(record(one))
    assert "privacy" not in record(one)


def test_pseudonyms_are_stable_and_differ_by_person_and_key() -> None:
    """One person is one pseudonym, in the actor and in a text; another key gives another."""
    first = Privacy("pseudonymize", KEY)
    found = record(event(payload={"m": "ADA@example.com"}), privacy=first)
    assert found["actor"]["email"] == found["payload"]["m"]
    assert found["actor"]["name"] == first.pseudonym("ada  PARK") != first.pseudonym("Ada Perk")
    assert Privacy("pseudonymize", b"another").pseudonym("Ada Park") != first.pseudonym("Ada Park")
    assert found["actor"]["id"] == ADA.id


def test_the_record_says_which_policy_made_it() -> None:
    """Policy, key and paths are in the record; the key itself is not."""
    privacy = Privacy("pseudonymize", KEY)
    found = record(event(**PLACES["payload"]), privacy=privacy)
    assert found["privacy"] == {
        "policy": "pseudonymize",
        "key_id": privacy.key_id,
        "replaced": ["payload.a[0].email"],
    }
    assert KEY.decode() not in json.dumps(found)
    assert record(event(), privacy=Privacy("drop"))["privacy"] == {"policy": "drop"}


def test_a_guest_who_is_the_target_has_no_name_either() -> None:
    """The target's name is a person's if the target is one."""
    guest = Named("us_g_1", "Ben Ode", MAIL, "resolved", "2026-11-23T20:41:00Z")
    one = event(
        "space:guestAdded",
        context={"actorId": ADA.id, "spaceId": "us_sp_1"},
        payload={"guestId": "us_g_1", "text": "for ben ode"},
    )
    space = Named("us_sp_1", "Ben Ode and Ada Park", None, "resolved", "2026-11-23T20:41:00Z")
    names = {guest.id: guest, ADA.id: ADA, space.id: space}
    for privacy in POLICIES:
        published = _published(one, names=names, privacy=privacy).lower()
        assert b"ben" not in published
        assert b"ada park" not in published


def test_short_names_are_left_in_texts() -> None:
    """A name of four characters would be found inside other words."""
    ann = Named(ADA.id, "Anna", None, "resolved", "2026-11-23T20:41:00Z")
    found = record(event(payload={"x": "Savannah"}), names={ADA.id: ann}, privacy=Privacy("drop"))
    assert found["payload"] == {"x": "Savannah"}
    assert "name" not in found["actor"]


def test_digests_of_what_was_sent_are_keyed_or_left_out() -> None:
    """A plain digest of a small event could be guessed."""
    row = read_row(b'{"topic":"a:b","email":"a@b.example"}')
    assert isinstance(row, BrokenEvent)
    keyed = Privacy("pseudonymize", KEY)
    found = record(row, privacy=keyed)
    assert found["id"] == keyed.stub_id(row.raw)
    assert found["id"].startswith("hmac-sha256:")
    assert set(found["payload_omitted"]) == {"reason", "bytes", "hmac_sha256"}
    assert set(record(row, privacy=Privacy("drop"))["payload_omitted"]) == {"reason", "bytes"}


def test_bytes_without_personal_data_are_kept_under_a_policy() -> None:
    """The policy changes what it must and nothing else."""
    raw = b'{ "n":1e400, "s":"\\ud800 \\/", "m":"%b"}'
    text = b'{"id":"e","topic":"a:b","createdAt":"x","payload":%b}' % (raw % MAIL.encode())
    one = sealed(read_row(text), privacy=Privacy("drop"))[0]
    assert b'"payload":' + raw % b"[dropped]" in one.value
