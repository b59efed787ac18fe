"""The inventory of a real account on a real broker: what changes is published, and only that."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydantic import SecretStr

from streamer.audit.privacy import CLEAR
from streamer.config import FlatfileSettings
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.lists import Lists
from streamer.inventory.keeper import Keeper, Parts
from streamer.inventory.told import Told
from streamer.kafka.partitions import partition_of
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.inventory import InventoryFollower
from tests.support.raw_topics import pieces_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.broker.local import LocalBroker
    from streamer.inventory.table import Change

QUICK: Final = {"INVENTORY__INTERVAL": "0.5"}


async def _requests(daemon: DaemonProcess) -> dict[str, int]:
    """How many requests there were for each list."""
    _, page = await daemon.get("/metrics")
    pattern = r'^streamer_flatfile_requests_total\{operation="list_(\w+)",outcome="ok"\} ([0-9.]+)$'
    return {kind: int(float(n)) for kind, n in re.findall(pattern, page, re.MULTILINE)}


def _held(account: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an account holds, by key, but for guests who can reach no space."""
    held = {f"user/{user['id']}": user for user in account["users"]}
    for place in account["environments"]:
        held[f"environment/{place['id']}"] = place
        for kind in ("agent", "guest", "space"):
            held |= {f"{kind}/{one['id']}": one for one in place[f"{kind}s"]}
    return held


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
            await topic.until(lambda: topic.latest.keys() == _held(account).keys())
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
            assert topic.latest.keys() == _held(await sandbox.account()).keys()
            # Nobody sent an event: that an agent appeared is known from looking alone.
            assert topic.latest[f"agent/{made['id']}"]["observed_only"] is True
            # Further passes publish nothing.
            before, looks = len(topic.messages), (await _requests(daemon))["agents"]
            while (await _requests(daemon))["agents"] < looks + 9:  # noqa: ASYNC110 - a page
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
                held = _held(await sandbox.account())
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
        held = _held(await sandbox.account())
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
        held = _held(account)
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


LARGE: Final = {"environments": 40, "spaces": 50, "agents": 8, "users": 5_000, "guests": 75}
"""2,000 spaces, 320 agents, 3,000 guests."""


@pytest.mark.timeout(180)
async def test_the_first_look_at_a_large_account_is_bounded_and_holds_up_no_event(
    broker: LocalBroker, prefix: str
) -> None:
    """At most 2,300 requests and 90 s; what happens meanwhile is published meanwhile."""
    servers = broker.bootstrap_servers
    async with SandboxProcess(events=0, **LARGE) as sandbox:
        environ = environ_of(sandbox, servers, prefix)
        held = _held(await sandbox.account())
        async with (
            AuditFollower(servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
            InventoryFollower(servers, f"{prefix}.inventory") as topic,
        ):
            await daemon.until_logged("inventory.published")
            happened = await sandbox.emit_everywhere(topic="workbook:updated")
            await follower.until_published(happened, within_s=30)
            await topic.until(lambda: topic.latest.keys() != {})
            assert topic.latest.keys() < held.keys()
            await topic.until(lambda: topic.latest.keys() == held.keys(), within_s=90)
            requests = await _requests(daemon)
            assert sum(n for kind, n in requests.items() if kind != "events") <= 2_300
            assert await daemon.stop() == 0
            assert topic.repeated == []


@pytest.mark.timeout(120)
async def test_every_further_look_takes_at_most_150_requests() -> None:
    """At lists of 100, however many spaces there are, as long as none changes."""
    asked: Counter[str] = Counter()
    published: list[Change] = []

    async def publish(_: str, changes: Sequence[Change]) -> None:
        published.extend(changes)

    # What a look costs after the first one depends on the spaces only in pages of 100.
    async with SandboxProcess(events=0, **{**LARGE, "spaces": 5, "guests": 10}) as sandbox:
        held = _held(await sandbox.account())
        settings = FlatfileSettings(
            api_url=sandbox.url, client_id="sandbox", secret=SecretStr("sandbox")
        )
        client = FlatfileClient(settings, on_request=lambda name, *_: asked.update([name]))
        async with client:
            lists = Lists(client)
            parts = Parts(
                lists=lists,
                told=Told(time.monotonic),
                incidents=Incidents(Metrics(Board())),
                privacy=CLEAR,
                account_id="",
                interval_s=0.001,
            )
            keeper = Keeper(parts, owns=lambda _: True, has_account=True)
            looking = asyncio.ensure_future(keeper.run(publish))
            while asked["list_users"] < 150 and not looking.done():  # noqa: ASYNC110 - three passes
                await asyncio.sleep(0.01)
            looking.cancel()
    assert {change.key.decode() for change in published} == held.keys()
    assert len(published) == len(held)
    assert asked["list_guests"] == 200
    further = (asked.total() - 200 - asked["authenticate"]) / 3
    assert further <= 150
