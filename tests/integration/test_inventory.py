"""The inventory of a real account on a real broker: what changes is published, and only that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from streamer.kafka.partitions import partition_of
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.inventory import InventoryFollower, held_by, list_requests
from tests.support.raw_topics import pieces_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

QUICK: Final = {"INVENTORY__INTERVAL": "0.5"}


async def test_the_topic_holds_what_the_account_holds_and_follows_it(
    broker: LocalBroker, prefix: str
) -> None:
    """Every object in the partition of its environment; made, changed and deleted ones follow."""
    async with SandboxProcess(events=0, environments=3) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, **QUICK)
        account = await sandbox.account()
        async with (
            DaemonProcess(environ) as daemon,
            InventoryFollower(broker.bootstrap_servers, f"{prefix}.inventory") as topic,
        ):
            await daemon.until_logged("daemon.started")
            await topic.until(lambda: topic.latest.keys() == held_by(account).keys())
            for message in topic.messages:
                place = (message.value or {}).get("environment", {}).get("id")
                assert message.partition == (partition_of(place, 4) if place else 0)
            first, second, third = account["environments"]
            made = await sandbox.post("objects", {"kind": "agent", "environment": first["id"]})
            changed = {"id": second["spaces"][0]["id"], "changes": {"name": "Renamed"}}
            await sandbox.post("objects", changed)
            deleted = third["agents"][0]["id"]
            await sandbox.post("objects", {"id": deleted})
            await topic.until(
                lambda: (
                    f"agent/{made['id']}" in topic.latest
                    and f"agent/{deleted}" not in topic.latest
                    and topic.latest[f"space/{changed['id']}"]["object"]["name"] == "Renamed"
                )
            )
            assert topic.latest.keys() == held_by(await sandbox.account()).keys()
            # Nobody sent an event: that an agent appeared is known from looking alone.
            assert topic.latest[f"agent/{made['id']}"]["observed_only"] is True
            # Further passes publish nothing.
            before, looks = len(topic.messages), (await list_requests(daemon))["agents"]
            while (await list_requests(daemon))["agents"] < looks + 9:  # noqa: ASYNC110 - a page
                await asyncio.sleep(0.05)
            assert await daemon.stop() == 0
            end = f"agent/{deleted}"
            assert [one.value for one in topic.messages if one.key == end][-1] is None
            assert (len(topic.messages), topic.repeated) == (before, [])


async def test_a_change_that_an_event_told_of_is_not_observed_only(
    broker: LocalBroker, prefix: str
) -> None:
    """An agent that is deployed while its event is published is no surprise."""
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, INVENTORY__INTERVAL="2")
        (place,) = (await sandbox.account())["environments"]
        agent = place["agents"][0]["id"]
        async with (
            DaemonProcess(environ) as daemon,
            InventoryFollower(broker.bootstrap_servers, f"{prefix}.inventory") as topic,
        ):
            await daemon.until_logged("daemon.started")
            await topic.until(lambda: f"guest/{place['guests'][-1]['id']}" in topic.latest)
            event = {"context": {"agentId": agent}, "payload": {"agentId": agent}}
            await sandbox.emit(place["id"], "agent:updated", event=event)
            while 'category="agent"' not in (await daemon.get("/metrics"))[1]:  # noqa: ASYNC110 - a page
                await asyncio.sleep(0.05)
            await sandbox.post("objects", {"id": agent, "changes": {"slug": "renamed"}})
            await topic.until(lambda: topic.latest[f"agent/{agent}"]["object"]["slug"] == "renamed")
            assert topic.latest[f"agent/{agent}"]["observed_only"] is False
            assert await daemon.stop() == 0


@pytest.mark.timeout(120)
async def test_killed_daemons_leave_no_duplicate_and_lose_no_change(
    broker: LocalBroker, prefix: str
) -> None:
    """Killed amid the first pass and amid changes; the last one brings the topic up to date."""
    async with SandboxProcess(events=0, environments=4, spaces=20, guests=40) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, **QUICK)
        async with InventoryFollower(broker.bootstrap_servers, f"{prefix}.inventory") as topic:
            async with DaemonProcess(environ) as daemon:
                await daemon.until_logged("inventory.published")
                await daemon.kill()
            gone = []
            for number, place in enumerate((await sandbox.account())["environments"][:3]):
                changed = {"id": place["agents"][0]["id"], "changes": {"slug": f"changed-{number}"}}
                await sandbox.post("objects", changed)
                gone.append(place["spaces"][number]["id"])
                await sandbox.post("objects", {"id": gone[-1]})
                await sandbox.post("objects", {"kind": "user"})
                async with DaemonProcess(environ) as daemon:
                    await daemon.until_logged("inventory.published")
                    await daemon.kill()
            async with DaemonProcess(environ) as daemon:
                await daemon.until_logged("daemon.started")
                held = held_by(await sandbox.account())
                for id_ in gone:
                    held.pop(f"space/{id_}", None)
                left = {
                    key
                    for key, one in held.items()
                    if key.startswith("guest/") and {s["id"] for s in one["spaces"]} <= {*gone}
                }
                await topic.until(lambda: topic.latest.keys() == held.keys() - left)
                assert await daemon.stop() == 0
        assert topic.repeated == []
        slugs = {one["object"].get("slug") for one in topic.latest.values()}
        assert {"changed-0", "changed-1", "changed-2"} <= slugs


async def test_lists_that_fail_make_nothing_gone(broker: LocalBroker, prefix: str) -> None:
    """An API that refuses, breaks off or answers nonsense is no account without objects."""
    async with SandboxProcess(events=0, environments=2) as sandbox:
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix, **QUICK)
        held = held_by(await sandbox.account())
        async with (
            DaemonProcess(environ) as daemon,
            InventoryFollower(broker.bootstrap_servers, f"{prefix}.inventory") as topic,
        ):
            await daemon.until_logged("daemon.started")
            await topic.until(lambda: topic.latest.keys() == held.keys())
            before = len(topic.messages)
            for path in ("/v1/agents", "/v1/spaces", "/v1/users", "/v1/environments"):
                for fault in ("error_500", "garbage", "reset"):
                    await sandbox.post("fault", {"kind": fault, "count": 4, "path": path})
            places = [place["id"] for place in (await sandbox.account())["environments"]]
            await sandbox.post("environments", {"id": places[0], "forbidden": True})
            await daemon.until_logged("inventory.list_failed")
            await sandbox.post("environments", {"id": places[0], "forbidden": False})
            user = await sandbox.post("objects", {"kind": "user"})
            agent = await sandbox.post("objects", {"kind": "agent", "environment": places[0]})
            new = {f"user/{user['id']}", f"agent/{agent['id']}"}
            await topic.until(lambda: new <= topic.latest.keys(), within_s=50)
            assert await daemon.stop() == 0
            assert {message.key for message in topic.messages[before:]} == new


@pytest.mark.parametrize("policy", ["clear", "pseudonymize", "drop"])
async def test_no_credential_and_under_a_policy_no_person_is_in_the_topic(
    policy: str, broker: LocalBroker, prefix: str
) -> None:
    """Also where somebody hides them in a name."""
    async with SandboxProcess(events=0, environments=2) as sandbox:
        key = "a key that only the operator has"
        environ = environ_of(
            sandbox,
            broker.bootstrap_servers,
            prefix,
            PRIVACY__PERSONAL_DATA=policy,
            PRIVACY__KEY=key,
        )
        account = await sandbox.account()
        place = account["environments"][0]
        person = place["guests"][0]
        hidden = {"name": f"by {person['email']} https://x.example.com/?token=PLANTED-in-a-name"}
        await sandbox.post("objects", {"id": place["spaces"][0]["id"], "changes": hidden})
        held = held_by(account)
        async with (
            DaemonProcess(environ) as daemon,
            InventoryFollower(broker.bootstrap_servers, f"{prefix}.inventory") as topic,
        ):
            await daemon.until_logged("daemon.started")
            await topic.until(lambda: topic.latest.keys() == held.keys())
            assert await daemon.stop() == 0
    pieces = await asyncio.to_thread(
        lambda: [*pieces_of(broker.bootstrap_servers, [f"{prefix}.inventory"])]
    )
    text = b"\n".join(pieces).decode()
    assert "PLANTED" not in text
    assert "export default" not in text
    people = [one for key, one in held.items() if key.startswith(("user/", "guest/"))]
    sought = {person[member] for person in people for member in ("name", "email")}
    shown = {one for one in sought if one in text}
    assert shown == (sought if policy == "clear" else set())
