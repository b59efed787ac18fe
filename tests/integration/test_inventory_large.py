"""The inventory of a large account: what it costs, and that no event waits for it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from pydantic import SecretStr

from streamer.audit.privacy import CLEAR
from streamer.config import FlatfileSettings
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.lists import Lists
from streamer.inventory.keeper import Keeper, Parts
from streamer.inventory.told import Told
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.inventory import InventoryFollower, held_by, list_requests
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.broker.local import LocalBroker
    from streamer.inventory.table import Change
    from tests.support.judge import Message

LARGE: Final = {"environments": 40, "spaces": 50, "agents": 8, "users": 5_000, "guests": 75}
"""2,000 spaces, 320 agents, 3,000 guests."""


EVENTS_MEANWHILE: Final = 60
EVENTS_A_SECOND: Final = 15.0


@pytest.mark.timeout(180)
async def test_the_first_look_at_a_large_account_is_bounded(
    broker: LocalBroker, prefix: str
) -> None:
    """At most 2,300 requests, and 90 s from the start of the worker."""
    servers = broker.bootstrap_servers
    async with SandboxProcess(events=0, **LARGE) as sandbox:
        held = held_by(await sandbox.account())
        began = time.monotonic()
        async with (
            DaemonProcess(environ_of(sandbox, servers, prefix)) as daemon,
            InventoryFollower(servers, f"{prefix}.inventory") as topic,
        ):
            await daemon.until_logged("inventory.published")
            await topic.until(lambda: topic.latest.keys() == held.keys(), within_s=90)
            assert time.monotonic() - began <= 90
            requests = await list_requests(daemon)
            assert sum(n for kind, n in requests.items() if kind != "events") <= 2_300
            assert await daemon.stop() == 0
            assert topic.repeated == []


@pytest.mark.timeout(120)
async def test_the_first_look_at_a_large_account_holds_up_no_event(
    broker: LocalBroker, prefix: str
) -> None:
    """What happens meanwhile is as fresh as ever: half within 1 s, 99 % within 2 s."""
    servers = broker.bootstrap_servers
    chance = random.Random(5)  # noqa: S311 - moments, no secrets
    emitted: dict[str, float] = {}
    arrived: dict[str, float] = {}

    def note(message: Message) -> None:
        arrived[dict(message.headers)["ce_id"].decode()] = time.monotonic()

    async with SandboxProcess(events=0, **LARGE) as sandbox:
        places = list(await sandbox.environments())
        async with (
            AuditFollower(servers, f"{prefix}.audit", on_record=note) as follower,
            DaemonProcess(environ_of(sandbox, servers, prefix), follower=follower) as daemon,
        ):
            await daemon.until_logged("inventory.published")
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            for place in chance.choices(places[:6], k=EVENTS_MEANWHILE):
                began = time.monotonic()
                (event_id,) = await sandbox.emit(place, "workbook:updated")
                emitted[event_id] = began
                # Not for synchronisation: events come at random moments.
                pause_s = chance.expovariate(EVENTS_A_SECOND)
                await asyncio.sleep(max(0.0, began + pause_s - time.monotonic()))
            await follower.until(
                lambda: emitted.keys() <= arrived.keys(), within_s=30, what="all events"
            )
            assert (await list_requests(daemon))["guests"] < LARGE["spaces"] * len(places)
            assert await daemon.stop() == 0
    delays_s = sorted(arrived[event_id] - began for event_id, began in emitted.items())
    p50_s, p99_s = delays_s[EVENTS_MEANWHILE // 2], delays_s[EVENTS_MEANWHILE * 99 // 100 - 1]
    print(f"freshness: p50 {p50_s:.2f} s, p99 {p99_s:.2f} s, worst {delays_s[-1]:.2f} s")  # noqa: T201
    assert p50_s <= 1.0
    assert p99_s <= 2.0


@pytest.mark.timeout(120)
async def test_every_further_look_takes_at_most_150_requests() -> None:
    """At lists of 100, however many spaces there are, as long as none changes."""
    asked: Counter[str] = Counter()
    published: list[Change] = []

    async def publish(_: str, changes: Sequence[Change]) -> None:
        published.extend(changes)

    # What a look costs after the first one depends on the spaces only in pages of 100.
    async with SandboxProcess(events=0, **{**LARGE, "spaces": 5, "guests": 10}) as sandbox:
        held = held_by(await sandbox.account())
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
