"""Personal data under a policy: what must not be in any topic, and what must still be there."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.raw_topics import pieces_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

KEY: Final = "a key that only the operator has"
ADDRESS: Final = "mallory.planted@elsewhere.example.com"
"""Of nobody that the account knows."""

TOPICS: Final = ("audit", "checkpoints", "dead-letters", "inventory")


async def published(
    sandbox: SandboxProcess, broker: LocalBroker, prefix: str, policy: str, *, runs: int = 1
) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Plant personal data in an account, publish it, and return the records and all raw bytes."""
    records: list[dict[str, Any]] = []

    def keep(message: Message) -> None:
        records.append(json.loads(message.value or b""))

    servers = broker.bootstrap_servers
    account = await sandbox.account()
    environment = account["environments"][0]
    await sandbox.post("environments", {"id": environment["id"], "name": f"of {ADDRESS}"})
    planted = []
    for person in (*account["users"][:5], *environment["guests"][:5]):
        said = f"{person['name']} <{person['email']}> wrote to {ADDRESS}"
        event = {
            "context": {
                "actorId": person["id"],
                "environmentId": environment["id"],
                "note": said,
            },
            "attributes": {ADDRESS: person["email"].upper()},
            "payload": {
                "said": said,
                "metadata": {"who": person["name"]},
                "in": json.dumps([said]),
            },
            "unheardOf": {"by": person["name"]},
        }
        planted += await sandbox.emit(environment["id"], "workbook:updated", event=event)
    for number, raw in enumerate(
        (
            f'{{"topic":"x:y","payload":{{"mail":"{ADDRESS}"}},"createdAt":"x"}}',
            f'{{"id":"us_evt_broken","topic":7,"payload":{{"mail":"{ADDRESS}"}}}}',
            f'{{"topic":"x:y","unreadable":"\\ud800","mail":"{ADDRESS}"}}',
        )
    ):
        await sandbox.emit(environment["id"], raw=raw, topic=f"hostile:{number}")
    newest = await sandbox.emit_everywhere()
    environ = environ_of(
        sandbox,
        servers,
        prefix,
        PRIVACY__PERSONAL_DATA=policy,
        PRIVACY__KEY=KEY,
        # Names that were not looked up in time cannot be found; that is no question of this test.
        ENRICHMENT__WAIT="30",
    )
    async with AuditFollower(servers, f"{prefix}.audit", on_record=keep) as follower:
        for _ in range(runs):
            async with DaemonProcess(environ, follower=follower) as daemon:
                await follower.until_published(
                    [*newest, *((environment["id"], one) for one in planted)], within_s=40
                )
                newest = await sandbox.emit_everywhere()
                await follower.until_published(newest, within_s=40)
                assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    # Under a policy the ledger and the topic have different digests for what has no id.
    assert [flaw for flaw in found.flaws if policy == "clear" or "sha256:" not in flaw] == []
    names = [f"{prefix}.{topic}" for topic in TOPICS]
    return records, await asyncio.to_thread(lambda: [*pieces_of(servers, names)])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("policy", ["clear", "pseudonymize", "drop"])
async def test_no_address_and_no_name_of_an_actor_is_in_any_topic(
    policy: str, broker: LocalBroker, prefix: str
) -> None:
    """Under a policy no planted address and no actor's name is in any topic; ids stay."""
    async with SandboxProcess(events=1_500, environments=2, page_cap=500) as sandbox:
        records, pieces = await published(sandbox, broker, prefix, policy, runs=2)
        account = await sandbox.account()
    people = [
        *account["users"],
        *(guest for one in account["environments"] for guest in one["guests"]),
    ]
    sought = {person[key].lower() for person in people for key in ("name", "email")} | {ADDRESS}
    text = b"\n".join(pieces).decode("utf-8", "replace").lower()
    shown = sorted(one for one in sought if one in text)
    if policy == "clear":
        # Else this test could not fail.
        assert len(shown) > 10
        assert ADDRESS in shown
        assert all("privacy" not in record for record in records)
        return
    assert shown == []
    assert {record["privacy"]["policy"] for record in records} == {policy}
    actors = {record["actor"].get("id") for record in records}
    assert {person["id"] for person in people} & actors
    # Nothing twice, also not what has no id, though the worker started a second time.
    assert len({record["id"] for record in records}) == len(records)
    keyed = [record for record in records if record["id"].startswith("hmac-sha256:")]
    assert len(keyed) == 2
    _judge_pseudonyms(policy, records)


def _judge_pseudonyms(policy: str, records: list[dict[str, Any]]) -> None:
    names: dict[str, set[str]] = defaultdict(set)
    for record in records:
        actor = record["actor"]
        if actor.get("resolution") == "resolved" and actor["type"] in ("user", "guest"):
            names[actor["id"]].add(actor.get("name", ""))
    assert len(names) > 5
    if policy == "drop":
        assert set.union(*names.values()) == {""}
        assert all("key_id" not in record["privacy"] for record in records)
        return
    # One pseudonym a person, in every record; and as many as there are people.
    assert all(len(shown) == 1 for shown in names.values())
    assert all(one.startswith("pn_") for shown in names.values() for one in shown)
    assert len(set.union(*names.values())) >= len(names) - 2  # two may bear one name
    assert len({record["privacy"]["key_id"] for record in records}) == 1
