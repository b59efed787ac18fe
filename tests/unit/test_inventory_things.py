"""What the inventory says of an object: all that the API says, but for what must not leave."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from streamer.audit.privacy import CLEAR, Privacy
from streamer.flatfile.objects import Element
from streamer.inventory.things import LARGEST_BYTES, USAGE, read_thing
from streamer.sandbox.account import MARKER
from streamer.sandbox.founding import build_account
from streamer.sandbox.options import SandboxOptions
from tests.support.inventory import UNTIL, thing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streamer.flatfile.objects import Kind

PSEUDONYMS = Privacy("pseudonymize", b"a key of the operator")
SPACE = {"id": "us_sp_1", "name": "Payroll", "environmentId": "us_env_1", "workbooksCount": 1}


def _everything() -> Iterator[tuple[Kind, dict[str, Any]]]:
    account = build_account(SandboxOptions(), UNTIL)
    for user in account.users:
        yield "user", user
    for environment in account.environments.values():
        yield "environment", environment.body
        for kind, bodies in (("agent", environment.agents), ("guest", environment.guests)):
            for body in bodies:
                yield kind, body  # type: ignore[misc]
        for space in environment.spaces:
            yield "space", space.body


def test_no_planted_credential_is_in_any_object() -> None:
    """Whatever the account holds, and the paths of what was taken out are named."""
    marked = 0
    for kind, body in _everything():
        found = thing(kind, body)
        marked += MARKER in json.dumps(body)
        assert MARKER.encode() not in found.text
        assert found.redacted == (
            ("object.accessToken", "object.guestLink") if kind == "space" else ()
        )
    assert marked > 10  # Else this test could not fail.


def test_everything_else_is_as_sent() -> None:
    """No member is lost or altered."""
    for kind, body in _everything():
        said = json.loads(thing(kind, body).text)
        kept = {key: value for key, value in body.items() if key not in said or said[key] != value}
        assert kept.keys() <= {"accessToken", "guestLink", "source"}


def test_the_source_of_an_agent_is_its_digest_and_its_size() -> None:
    """The same code has the same digest anywhere, and no byte of it is published."""
    source = "export default (listener) => 'é';"
    agent = {"id": "us_ag_1", "environmentId": "us_env_1", "source": source, "sourceMap": "{}"}
    found = json.loads(thing("agent", agent).text)
    sent = source.encode()
    assert found == {
        "id": "us_ag_1",
        "environmentId": "us_env_1",
        "source": {"sha256": hashlib.sha256(sent).hexdigest(), "bytes": len(sent)},
    }


@pytest.mark.parametrize("member", sorted(USAGE))
def test_use_alone_is_no_change(member: str) -> None:
    """What moves whenever somebody works is published with the next change."""
    assert thing("space", SPACE).fingerprint == thing("space", SPACE | {member: 7}).fingerprint
    spaces = [{"id": "us_sp_1"}], [{"id": "us_sp_1", member: "now"}]
    before, after = (thing("guest", {"id": "us_g_1", "spaces": one}) for one in spaces)
    assert before.fingerprint == after.fingerprint
    assert thing("space", SPACE | {"name": "x"}).fingerprint != thing("space", SPACE).fingerprint


def test_the_order_of_members_is_no_change() -> None:
    """An object has one fingerprint, however the server writes it."""
    reordered = dict(reversed(SPACE.items()))
    assert thing("space", reordered).fingerprint == thing("space", SPACE).fingerprint


def test_a_credential_that_was_turned_is_no_change() -> None:
    """The fingerprint is of what is published, so that no secret can be guessed from it."""
    tokens = (thing("space", SPACE | {"accessToken": token}) for token in ("one", "other"))
    assert len({found.fingerprint for found in tokens}) == 1


@pytest.mark.parametrize("policy", [PSEUDONYMS, Privacy("drop")])
def test_under_a_policy_nobody_is_named(policy: Privacy) -> None:
    """Neither a person's name and address, nor those of others in any object."""
    account = build_account(SandboxOptions(), UNTIL)
    sought = {user[key] for user in account.users for key in ("name", "email")}
    shown = 0
    for kind, body in _everything():
        if kind in ("user", "guest"):
            sought |= {body["name"], body["email"]}
    for kind, body in _everything():
        text = thing(kind, body, policy).text.decode()
        shown += any(one in json.dumps(body, ensure_ascii=False) for one in sought)
        assert [one for one in sought if one in text] == []
    assert shown > 20


def test_a_pseudonym_is_that_of_the_records() -> None:
    """A person's rows in both topics can be joined."""
    user = {"id": "us_usr_1", "name": "Al", "email": "al@example.com"}
    found = json.loads(thing("user", user, PSEUDONYMS).text)
    assert found["name"] == PSEUDONYMS.pseudonym("Al")
    assert found["email"] == PSEUDONYMS.pseudonym("al@example.com")
    assert json.loads(thing("user", user, Privacy("drop")).text) == {"id": "us_usr_1"}


def test_an_object_that_is_too_large_goes_without_its_largest_members() -> None:
    """Its name and all else that is small stay, and what is missing is named."""
    huge = {"notes": "x" * LARGEST_BYTES, "more": "y" * LARGEST_BYTES}
    found = thing("space", SPACE | huge)
    assert found.omitted == ("more", "notes")
    assert json.loads(found.text) == SPACE


def test_what_is_omitted_is_named_as_it_may_be_published() -> None:
    """A member's name is hostile, too."""
    huge = "x" * LARGEST_BYTES
    raw = json.dumps({"id": "us_sp_1", "\ud800": huge, "ada@example.com": huge}).encode()
    found = read_thing("space", Element("us_sp_1", raw), Privacy("drop"))
    assert found is not None
    assert set(found.omitted) == {"?", "[dropped]"}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":"us_sp_1","name":"\\ud800","n":1e400,"i":123456789012345678901234567890}',
        b'{"id":"us_sp_1","name":NaN}',
        b'{"id":"us_sp_1","name":"\xff"}',
        b'{"id":"us_sp_1","name":"a","name":"b"}',
    ],
)
def test_a_hostile_object_becomes_valid_json(raw: bytes) -> None:
    """Whoever reads the topic needs no lenient decoder."""
    found = read_thing("space", Element("us_sp_1", raw), CLEAR)
    assert found is not None
    json.loads(found.text, parse_constant=pytest.fail)
    assert found.text.decode().encode() == found.text


@pytest.mark.parametrize("raw", [b"7", b"[]", b'{"id":', b'{"a":' * 50_000 + b"1" + b"}" * 50_000])
def test_what_cannot_be_read_says_nothing(raw: bytes) -> None:
    """It is left out; its id was listed, so that it is not taken for gone."""
    assert read_thing("space", Element("us_sp_1", raw), CLEAR) is None


def test_an_object_without_environment_is_in_that_of_its_list() -> None:
    """Which is where it was found; what it says itself comes first."""
    bare = Element("us_g_1", b'{"id":"us_g_1"}')
    found = read_thing("guest", bare, CLEAR, environment_id="us_env_1")
    assert found is not None
    assert found.environment_id == "us_env_1"
    assert thing("space", SPACE, environment_id="us_env_2").environment_id == "us_env_1"
    assert thing("environment", {"id": "us_env_3"}).environment_id == "us_env_3"
    assert thing("user", {"id": "us_usr_1"}).environment_id is None
