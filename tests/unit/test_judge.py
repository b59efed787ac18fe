"""The judge of the kill tests, against hand-made topics with one flaw each: it must see every one.

The records are made here from the description of the published form, not by the product.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.judge import Findings, Judge, Message

if TYPE_CHECKING:
    from collections.abc import Callable

Topic = list[Message]
Ledger = list[dict[str, Any]]

ENVIRONMENTS = ("us_env_a", "us_env_b")
EVENTS = 4


def sealed(previous: bytes, members: dict[str, Any]) -> tuple[bytes, bytes]:
    """Return a record's bytes and its hash."""
    body = json.dumps(members, separators=(",", ":")).encode()[:-1]
    digest = hashlib.sha256(previous + body).digest()
    seal = f',"integrity":{{"previous":"{previous.hex()}","hash":"{digest.hex()}"}}}}'
    return body + seal.encode(), digest


def message(
    environment: str,
    event_id: str,
    sequence: int,
    previous: bytes,
    **changes: Any,  # noqa: ANN401 - JSON
) -> tuple[Message, bytes]:
    """Return a right message, but for what is changed, and its record's hash."""
    members = {
        "schema": "flatfile.audit/1",
        "id": event_id,
        "revision": 1,
        "sequence": sequence,
        "environment": {"id": environment},
        **changes,
    }
    value, digest = sealed(previous, members)
    revision = members["revision"]
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", (event_id if revision == 1 else f"{event_id}:{revision}").encode()),
        ("ce_source", f"https://platform.flatfile.com/environments/{environment}".encode()),
        ("ce_partitionkey", environment.encode()),
        ("ce_sequence", f"{sequence:019}".encode()),
        ("content-type", b"application/json"),
    ]
    number = ENVIRONMENTS.index(environment)
    return Message(number, sequence, environment.encode(), value, headers), digest


def sound() -> tuple[Topic, Ledger]:
    """Return a topic without a flaw, with one event that was erased later, and its ledger."""
    topic: Topic = []
    ledger: Ledger = []
    for environment in ENVIRONMENTS:
        head = hashlib.sha256(environment.encode()).digest()
        for sequence in range(1, EVENTS + 1):
            event_id = f"us_evt_{environment[-1]}{sequence}"
            made, head = message(environment, event_id, sequence, head)
            topic.append(made)
            ledger.append({"id": event_id, "environment": environment, "deletedAt": None})
        erased = {"revision": 2, "lifecycle": {"deletedAt": "2026-01-01T00:00:00Z"}}
        event_id = f"us_evt_{environment[-1]}1"
        made, _ = message(environment, event_id, EVENTS + 1, head, **erased)
        topic.append(made)
        ledger.append(
            {"id": event_id, "environment": environment, "deletedAt": "2026-01-01T00:00:00Z"}
        )
    return topic, ledger


def verdict(topic: Topic, ledger: Ledger) -> Findings:
    """Judge a topic."""
    judge = Judge()
    for one in topic:
        judge.take(one)
    return judge.findings(ledger)


def test_sound_topic_has_no_finding() -> None:
    """A topic as it must be is found to be so."""
    assert verdict(*sound()).flaws == []


def test_last_record_missing_is_lost() -> None:
    """A cut-off end, which neither numbers nor chain betray, is found by the ledger."""
    topic, ledger = sound()
    found = verdict(topic[:-1], ledger)
    assert found.lost == ["us_env_b/us_evt_b1 deletedAt 2026-01-01T00:00:00Z"]
    assert found.flaws == found.lost


def test_environment_missing_is_lost() -> None:
    """An environment that is not in the topic at all is found."""
    topic, ledger = sound()
    found = verdict([one for one in topic if one.partition == 0], ledger)
    assert len(found.lost) == EVENTS + 1
    assert found.flaws == found.lost


def test_record_missing_in_the_middle_is_lost_and_a_gap() -> None:
    """A record that was left out is missed by number, by hash and by the ledger."""
    topic, ledger = sound()
    del topic[1]
    found = verdict(topic, ledger)
    assert found.lost == ["us_env_a/us_evt_a2 deletedAt None"]
    assert len(found.gaps) == 1
    assert len(found.broken) == 1


def test_event_published_again_is_twice() -> None:
    """An event that comes again under a right number and hash is found."""
    topic, ledger = sound()
    head = bytes.fromhex(json.loads(topic[-1].value or b"")["integrity"]["hash"])
    again, _ = message("us_env_b", "us_evt_b2", EVENTS + 2, head)
    found = verdict([*topic, again], ledger)
    assert len(found.twice) == 2  # By its revision, and by the ledger.
    assert found.flaws == found.twice


def test_bytes_published_again_are_twice_and_a_gap() -> None:
    """A batch that was appended a second time is found."""
    topic, ledger = sound()
    found = verdict([*topic[:3], topic[2], *topic[3:]], ledger)
    assert found.twice
    assert found.gaps == ["0@3 us_env_a/us_evt_a3: sequence 3 after 3"]


def test_event_that_was_never_shown_is_foreign() -> None:
    """A record of an event that the account did not show is found."""
    topic, ledger = sound()
    found = verdict(topic, [line for line in ledger if line["id"] != "us_evt_a3"])
    assert found.foreign == ["us_env_a/us_evt_a3"]
    assert found.flaws == found.foreign


def test_revision_that_was_never_shown_is_foreign() -> None:
    """A revision with a `deletedAt` that the account did not show is found."""
    topic, ledger = sound()
    found = verdict(topic, ledger[:EVENTS] + ledger[EVENTS + 1 :])
    assert found.foreign == ["us_env_a/us_evt_a1 deletedAt 2026-01-01T00:00:00Z"]
    assert found.flaws == found.foreign


def test_environment_in_two_partitions_is_a_gap() -> None:
    """A record beside its environment's partition is found."""
    topic, ledger = sound()
    topic[2] = topic[2]._replace(partition=5)
    found = verdict(topic, ledger)
    assert found.gaps == ["5@3 us_env_a/us_evt_a3: its environment is in 0 as well"]
    assert found.flaws == found.gaps


def test_records_out_of_order_are_gaps() -> None:
    """Two records that changed places are found."""
    topic, ledger = sound()
    topic[1], topic[2] = topic[2], topic[1]
    assert len(verdict(topic, ledger).gaps) == 3


def test_chain_that_begins_elsewhere_is_broken() -> None:
    """A first record that does not follow the digest of its environment's id is found."""
    first, head = message("us_env_a", "us_evt_a1", 1, b"\0" * 32)
    second, _ = message("us_env_a", "us_evt_a2", 2, head)
    ledger = [
        {"id": one, "environment": "us_env_a", "deletedAt": None}
        for one in ("us_evt_a1", "us_evt_a2")
    ]
    found = verdict([first, second], ledger)
    assert found.broken == ["0@1 us_env_a/us_evt_a1: it follows another record than the one before"]
    assert found.flaws == found.broken


FLAWS: dict[str, Callable[[Message], Message]] = {
    "altered value": lambda one: one._replace(
        value=(one.value or b"").replace(b'"revision":1', b'"revision": 1')
    ),
    "seal that is not last": lambda one: one._replace(value=(one.value or b"") + b" "),
    "tombstone": lambda one: one._replace(value=None),
    "no JSON": lambda one: one._replace(value=b"\xff"),
    "no object": lambda one: one._replace(value=b"[]"),
    "no environment": lambda one: one._replace(value=b'{"id":"us_evt_a2"}'),
    "another key": lambda one: one._replace(key=b"us_env_b"),
    "no key": lambda one: one._replace(key=None),
    "no headers": lambda one: one._replace(headers=[]),
    "another ce_id": lambda one: one._replace(
        headers=[(k, b"us_evt_zz" if k == "ce_id" else v) for k, v in one.headers]
    ),
    "ce_id twice": lambda one: one._replace(headers=[*one.headers, ("ce_id", b"us_evt_a2")]),
    "another ce_sequence": lambda one: one._replace(
        headers=[(k, b"3".zfill(19) if k == "ce_sequence" else v) for k, v in one.headers]
    ),
    "ce_sequence not padded": lambda one: one._replace(
        headers=[(k, b"2" if k == "ce_sequence" else v) for k, v in one.headers]
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_record_with_one_flaw_is_broken(flaw: str) -> None:
    """Every single flaw of one record is found."""
    topic, ledger = sound()
    assert not verdict(topic, ledger).broken
    topic[1] = FLAWS[flaw](topic[1])
    assert verdict(topic, ledger).broken
