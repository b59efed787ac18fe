"""What is published of a shard's objects: changes once, and what is gone after a second look."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from streamer.audit.privacy import CLEAR, Privacy
from streamer.flatfile.lists import USERS
from streamer.flatfile.objects import Element, ListKey
from streamer.inventory.message import decode, read_key
from streamer.inventory.table import Change, Table
from tests.support.inventory import thing

if TYPE_CHECKING:
    from streamer.inventory.things import Thing

AT, LATER = "2026-11-24T10:00:00.000Z", "2026-11-24T10:05:00.000Z"
SPACES = ListKey("space", "us_env_1")
PAYROLL, BENEFITS = ListKey("guest", "us_sp_1"), ListKey("guest", "us_sp_2")


def _user(number: int, name: str = "Ada") -> Thing:
    return thing("user", {"id": f"us_usr_{number}", "name": name})


def _space(number: int) -> Thing:
    return thing("space", {"id": f"us_sp_{number}", "environmentId": "us_env_1"})


def _guest(*spaces: str, name: str = "Ben") -> Thing:
    shown = [{"id": space} for space in spaces]
    body = {"id": "us_g_1", "environmentId": "us_env_1", "name": name, "spaces": shown}
    return thing("guest", body)


def _look(table: Table, which: ListKey, *things: Thing, at: str = AT) -> list[Change]:
    """One complete look at a list."""
    changes = [table.take(which, one, at, observed_only=None) for one in things]
    known = [change for change in changes if change is not None]
    return [*known, *table.end(which, {one.id for one in things}, is_apart=True)]


def _said(changes: list[Change]) -> list[tuple[str, str]]:
    return [(change.key.decode(), change.what) for change in changes]


def _restored(*changes: Change) -> Table:
    """A table that was read back from what was published."""
    table = Table("us_acc_1", CLEAR)
    for change in changes:
        table.restore(change.key, change.value)
    return table


def test_an_object_is_published_once_and_when_it_changes() -> None:
    """With when it was first seen, whatever became of it since."""
    table = Table("us_acc_1", CLEAR)
    first = _look(table, USERS, _user(1))
    assert _said(first) == [("user/us_usr_1", "appeared")]
    assert _look(table, USERS, _user(1), at=LATER) == []
    changed = _look(table, USERS, _user(1, "Grace"), at=LATER)
    assert _said(changed) == [("user/us_usr_1", "changed")]
    message = decode(changed[0].value or b"")
    assert message is not None
    assert (message.first_seen, message.last_seen) == (AT, LATER)
    assert message.object == {"id": "us_usr_1", "name": "Grace"}


def test_what_was_sent_as_the_same_bytes_is_not_understood_twice() -> None:
    """But after a restart, when nothing is known of its bytes."""
    table = Table("us_acc_1", CLEAR)
    body = {"id": "us_usr_1", "name": "Ada"}
    same = Element("us_usr_1", json.dumps(body, ensure_ascii=False).encode())
    assert not table.has_as(USERS, same)
    published = _look(table, USERS, thing("user", body))
    assert table.has_as(USERS, same)
    assert table.end(USERS, {"us_usr_1"}, is_apart=True) == []
    assert not table.has_as(USERS, Element("us_usr_1", b'{"id":"us_usr_1"}'))
    assert not _restored(*published).has_as(USERS, same)


def test_what_two_complete_looks_do_not_show_is_gone() -> None:
    """One is not enough, and whoever is back in between is there."""
    table = Table("us_acc_1", CLEAR)
    _look(table, USERS, _user(1), _user(2))
    assert _look(table, USERS, _user(1)) == []
    assert table.is_doubtful(USERS)
    assert _look(table, USERS, _user(1), _user(2)) == []
    assert not table.is_doubtful(USERS)
    assert _look(table, USERS, _user(1)) == []
    assert _look(table, USERS, _user(1)) == [Change(b"user/us_usr_2", None, "user", "gone")]
    assert _look(table, USERS, _user(1)) == []
    assert _said(_look(table, USERS, _user(1), _user(2))) == [("user/us_usr_2", "appeared")]


def test_what_was_read_back_is_not_published_again() -> None:
    """A worker that takes the shard over knows what the one before published, and no more."""
    published = _look(Table("us_acc_1", CLEAR), USERS, _user(1), _user(2))
    table = _restored(*published)
    assert _look(table, USERS, _user(1), _user(2)) == []
    assert _said(_look(table, USERS, _user(1, "Grace"), _user(2))) == [("user/us_usr_1", "changed")]
    table = _restored(*published)
    assert _look(table, USERS, _user(1)) == []
    gone = _look(table, USERS, _user(1))
    assert _said(gone) == [("user/us_usr_2", "gone")]
    assert _said(_look(_restored(*published, *gone), USERS, _user(1), _user(2))) == [
        ("user/us_usr_2", "appeared")
    ]


def test_what_others_wrote_to_the_topic_is_written_anew() -> None:
    """Strangers are not believed, and what cannot be read is no object of ours."""
    for value in (b"", b"{", b'{"kind":"user"}', b"[]"):
        table = _restored(Change(b"user/us_usr_1", value, "user", "appeared"))
        assert _said(_look(table, USERS, _user(1))) == [("user/us_usr_1", "appeared")]
    table = _restored(Change(b"../x", b"{}", "user", "appeared"))
    assert _look(table, USERS) == []


def test_a_guest_is_gone_when_no_space_shows_it() -> None:
    """Leaving one of two is a change; leaving both is the end."""
    table = Table("us_acc_1", CLEAR)
    _look(table, SPACES, _space(1), _space(2))
    assert _said(_look(table, PAYROLL, _guest("us_sp_1", "us_sp_2"))) == [
        ("guest/us_g_1", "appeared")
    ]
    assert _look(table, BENEFITS, _guest("us_sp_1", "us_sp_2")) == []
    assert [_look(table, PAYROLL) for _ in range(3)] == [[], [], []]
    assert _said(_look(table, BENEFITS, _guest("us_sp_2"))) == [("guest/us_g_1", "changed")]
    assert _look(table, BENEFITS) == []
    assert _said(_look(table, BENEFITS)) == [("guest/us_g_1", "gone")]


def test_the_guests_of_a_space_that_is_gone_are_gone_with_it() -> None:
    """But for those who can reach another one; also after a restart."""
    table = Table("us_acc_1", CLEAR)
    published = [
        *_look(table, SPACES, _space(1), _space(2)),
        *_look(table, PAYROLL, _guest("us_sp_1", "us_sp_2")),
        *_look(table, BENEFITS, _guest("us_sp_1", "us_sp_2")),
    ]
    for each in (table, _restored(*published)):
        assert each.close(PAYROLL) == []
        assert _said(each.close(BENEFITS)) == [("guest/us_g_1", "gone")]


def test_a_guest_of_no_space_that_is_known_is_found_out() -> None:
    """Read back with spaces that are no more, it would be held by them for ever."""
    published = _look(Table("us_acc_1", CLEAR), PAYROLL, _guest("us_sp_9"))
    nowhere = _look(Table("us_acc_1", CLEAR), PAYROLL, _guest())
    for changes, which in ((published, "us_sp_9"), (nowhere, "")):
        table = _restored(*changes)
        (unknown,) = table.unknown_spaces("us_env_1")
        assert unknown == ListKey("guest", which)
        assert _said(table.close(unknown)) == [("guest/us_g_1", "gone")]


def test_an_object_that_moved_within_the_shard_is_one_object() -> None:
    """It changes its environment, and is not gone when its old place no longer shows it."""
    table = Table("us_acc_1", CLEAR)
    elsewhere = ListKey("space", "us_env_2")
    _look(table, SPACES, _space(1))
    moved = thing("space", {"id": "us_sp_1", "environmentId": "us_env_2"})
    assert _said(_look(table, elsewhere, moved)) == [("space/us_sp_1", "changed")]
    assert [_look(table, SPACES) for _ in range(3)] == [[], [], []]
    assert table.environment_of("space", "us_sp_1") == "us_env_2"
    assert table.shown_in(elsewhere) == ["us_sp_1"]


def test_the_value_says_under_which_policy_it_was_made() -> None:
    """As records do; and whether an event told of the change, where that is known."""
    table = Table("us_acc_1", Privacy("pseudonymize", b"a key of the operator"))
    change = table.take(USERS, _user(1), AT, observed_only=True)
    assert change is not None
    value = json.loads(change.value or b"")
    assert value["privacy"]["policy"] == "pseudonymize"
    assert value["observed_only"] is True
    (clear,) = _look(Table("us_acc_1", CLEAR), USERS, _user(1))
    assert not {"privacy", "observed_only", "redacted", "omitted", "environment"} & set(
        json.loads(clear.value or b"")
    )


def test_a_key_is_kind_and_id() -> None:
    """And nothing else is read as one."""
    assert read_key(b"space/us_sp_1") == ("space", "us_sp_1")
    for key in (b"", b"space", b"space/", b"spaces/us_sp_1", b"space/../x", b"\xff/us_sp_1"):
        assert read_key(key) is None
