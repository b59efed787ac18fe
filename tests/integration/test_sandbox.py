"""The sandbox on its socket: tokens, refusals, pages, the ledger, control."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from streamer.errors import PortInUseError
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.server import Sandbox
from tests.support.sandbox_client import Reader, reading
from tests.support.sandbox_process import SandboxProcess


async def test_both_forms_of_the_key_pair_are_taken() -> None:
    """A key pair is exchanged with and without its type, and the answer says when it ends."""
    async with reading(events=0) as reader:
        plain, typed = await reader.log_in(), await reader.log_in(type="apiCredentials")
        assert plain.keys() == typed.keys()
        assert typed.keys() >= {"accessToken", "expiresIn", "expires", "accountId"}
        assert typed["expiresIn"] == "86400"
        reader.sandbox.change(auth_wrapped=True)
        assert (await reader.log_in()).keys() == {"data"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"clientId":"sandbox","secret":"wrong"}', 401),
        (b'{"clientId":"sandbox"}', 401),
        (b'{"type":"magic","clientId":"sandbox","secret":"sandbox"}', 400),
        (b"[]", 400),
        (b"no json", 400),
    ],
)
async def test_wrong_key_pair_is_refused(body: bytes, status: int) -> None:
    """What is not the key pair gets no token, and the documented error body."""
    async with (
        reading(events=0) as reader,
        reader.session.post(f"{reader.sandbox.url}/auth", data=body) as response,
    ):
        assert response.status == status
        assert (await response.json())["errors"][0]["message"]


async def test_token_expires_or_is_revoked() -> None:
    """A token is good until it ends or is revoked; a dashboard token neither ends nor is."""
    now = [1_700_000_000.0]
    options = SandboxOptions(events=0, token_lifetime_s=60, tokens=("pat_PLANTED_1",))
    sandbox = Sandbox(options, clock=lambda: now[0])
    await sandbox.start()
    async with aiohttp.ClientSession() as session:
        reader = Reader(sandbox, session)
        assert (await reader.get("users"))[0] == 401
        await reader.log_in()
        now[0] += 59
        assert (await reader.get("users"))[0] == 200
        now[0] += 1
        assert (await reader.get("users"))[0] == 401
        await reader.log_in()
        assert sandbox.revoke_tokens() == 1
        status, answer = await reader.get("users")
        assert (status, answer["errors"][0]["key"]) == (401, "unauthorized")
        reader.token = "pat_PLANTED_1"  # noqa: S105 - planted
        assert (await reader.get("users"))[0] == 200
    await sandbox.stop()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("guests", 400),
        ("agents", 400),
        ("events?pageSize=0", 400),
        ("events?pageNumber=x", 400),
        ("events?since=yesterday", 400),
        ("events?includeAcknowledged=maybe", 400),
        ("events?environmentId=us_env_none", 404),
        ("events/us_evt_none", 404),
        ("guests?spaceId=us_sp_none", 404),
        ("users/us_usr_none", 404),
        ("agents/us_ag_none?environmentId=us_env_none", 404),
        ("nothing/here", 404),
    ],
)
async def test_refusals_have_the_documented_body(path: str, status: int) -> None:
    """What cannot be answered is refused with `errors`, each with a message."""
    async with reading(events=5) as reader:
        found, answer = await reader.get(path)
        assert found == status
        assert answer.keys() == {"errors"}
        assert answer["errors"][0]["message"]


async def test_defaults_and_caps_of_pages() -> None:
    """Every listing has its documented default size, and a cap that it does not mention."""
    async with reading(
        events=2500, environments=13, users=130, spaces=120, agents=110, equal_shares=True
    ) as reader:
        (environment, *_) = reader.sandbox.environments
        reader.sandbox.emit(environment, count=1500)
        assert len(await reader.rows("environments")) == 10
        assert len(await reader.rows("users")) == 20
        assert len(await reader.rows("spaces")) == 10
        assert len(await reader.rows("agents", environmentId=environment)) == 20
        assert len(await reader.rows("events")) == 10
        for path in ("users", "spaces"):
            assert len(await reader.rows(path, pageSize=5000)) == 100
        assert len(await reader.rows("agents", environmentId=environment, pageSize=5000)) == 100
        assert len(await reader.rows("events", environmentId=environment, pageSize=5000)) == 1000
        _, answer = await reader.get("users", pageSize=50, pageNumber=3)
        assert answer["pagination"] == {"currentPage": 3, "pageCount": 3, "totalCount": 130}
        assert len(answer["data"]) == 30
        assert await reader.rows("users", pageNumber=99) == []
        _, events = await reader.get("events")
        assert events.keys() == {"data"}
        reader.sandbox.change(paginated=False)
        assert (await reader.get("users"))[1].keys() == {"data"}


async def test_events_are_listed_oldest_first_from_since_on() -> None:
    """Pages cut the listing without gap or overlap, and `since` includes its millisecond."""
    async with reading(events=3000, environments=2) as reader:
        (environment, other) = reader.sandbox.environments
        asked = {"environmentId": environment, "includeAcknowledged": "true"}
        events: list[Any] = []
        for number in range(1, 9):
            events += await reader.rows("events", pageSize=400, pageNumber=number, **asked)
        assert len({event["id"] for event in events}) == len(events) > 1500
        times = [event["createdAt"] for event in events]
        assert times == sorted(times)
        later = await reader.rows("events", since=times[700], pageSize=1000, **asked)
        assert later == events[700:1700]
        unacknowledged = await reader.rows("events", environmentId=environment, pageSize=1000)
        assert unacknowledged == [e for e in events if e["acknowledgedAt"] is None][:1000]
        assert any(event["acknowledgedAt"] for event in events)
        both = await reader.rows("events", includeAcknowledged="true", pageSize=1000)
        assert {e["context"].get("environmentId") for e in both} >= {environment, other}
        assert [e["createdAt"] for e in both] == sorted(e["createdAt"] for e in both)
        jobs = await reader.rows("events", topic="job:ready", **asked)
        assert {event["topic"] for event in jobs} == {"job:ready"}


async def test_late_event_appears_behind_newer_ones() -> None:
    """An event that becomes visible late is not shown before, and then stands where it belongs."""
    now = [1_700_000_000.0]
    sandbox = Sandbox(SandboxOptions(events=0, environments=1), clock=lambda: now[0])
    await sandbox.start()
    async with aiohttp.ClientSession() as session:
        reader = Reader(sandbox, session)
        await reader.log_in()
        (environment,) = sandbox.environments
        (late,) = sandbox.emit(environment, visible_in_s=20)
        now[0] += 1
        (prompt,) = sandbox.emit(environment)
        assert [event["id"] for event in await reader.rows("events")] == [prompt]
        assert (await reader.get(f"events/{late}"))[0] == 404
        now[0] += 19
        assert [event["id"] for event in await reader.rows("events")] == [late, prompt]
        assert (await reader.get(f"events/{late}"))[0] == 200
    await sandbox.stop()


async def test_ledger_has_what_was_shown_and_each_erasure() -> None:
    """An event is in the ledger once it was shown, and again when it is shown as deleted."""
    async with reading(events=40, environments=1) as reader:
        (environment,) = reader.sandbox.environments
        assert reader.sandbox.ledger() == []
        shown = await reader.rows("events", pageSize=7, includeAcknowledged="true")
        assert [entry["id"] for entry in reader.sandbox.ledger()] == [e["id"] for e in shown]
        await reader.rows("events", pageSize=7, includeAcknowledged="true")
        assert len(reader.sandbox.ledger()) == 7
        erased = shown[2]["id"]
        erased_at = "2026-01-01T00:00:00.000Z"
        assert reader.sandbox.world.rewrite(erased, {"deletedAt": erased_at})
        assert len(reader.sandbox.ledger()) == 7
        await reader.rows("events", pageSize=7, includeAcknowledged="true")
        entries = [entry for entry in reader.sandbox.ledger() if entry["id"] == erased]
        assert [entry["deletedAt"] for entry in entries] == [None, erased_at]
        assert entries[0]["environment"] == environment
        assert entries[0]["createdAt"] == shown[2]["createdAt"]
        assert entries[0]["first_shown_at"] <= entries[1]["first_shown_at"]


@pytest.mark.parametrize("leave", ["abort", "half_close"])
async def test_ledger_leaves_out_what_no_reader_took(leave: str) -> None:
    """A reader that goes away in the middle of a page was not shown its events."""
    async with reading(events=2000, environments=1) as reader:
        (environment,) = reader.sandbox.environments
        for _ in range(3):
            stream, writer = await asyncio.open_connection(
                "127.0.0.1", int(reader.sandbox.url.split(":")[2].split("/")[0]), limit=4096
            )
            writer.write(
                b"GET /v1/events?pageSize=1000&includeAcknowledged=true HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nAuthorization: Bearer %b\r\n\r\n" % reader.token.encode()
            )
            assert b"200 OK" in await stream.readline()
            await stream.readexactly(2000)
            if leave == "half_close":
                writer.write_eof()
                assert await reader.rows("events", environmentId=environment, topic="no") == []
            writer.transport.abort()
        # The next answer comes from the same loop: by then the broken ones have ended.
        assert len(await reader.rows("events", pageSize=1, includeAcknowledged="true")) == 1
        assert len(reader.sandbox.ledger()) == 1


async def test_environment_can_be_forbidden_gone_hidden_and_new() -> None:
    """Environments come, go, are renamed and refused while the sandbox runs."""
    async with reading(events=30, environments=2) as reader:
        first, second = reader.sandbox.environments
        control = f"{reader.sandbox.control_url}/environments"
        changes = ({"id": first, "forbidden": True}, {"id": second, "listed": False, "name": "n2"})
        for change in (*changes, {"name": "fresh"}):
            async with reader.session.post(control, json=change) as response:
                assert response.status == 200
        names = {row["name"] for row in await reader.rows("environments")}
        assert names == {"production", "fresh"}
        assert (await reader.get("events", environmentId=first))[0] == 403
        assert await reader.rows("events", environmentId=second)
        assert (await reader.get(f"environments/{second}"))[1]["data"]["name"] == "n2"
        async with reader.session.post(control, json={"id": second, "gone": True}):
            pass
        assert (await reader.get("events", environmentId=second))[0] == 404


async def test_objects_are_renamed_and_deleted() -> None:
    """A person or a space can get another name, and then be gone for look-ups and listings."""
    async with reading(events=5, environments=1) as reader:
        control = f"{reader.sandbox.control_url}/objects"
        (environment,) = reader.sandbox.world.account.environments.values()
        for kind, body in (
            ("users", reader.sandbox.world.account.users[3]),
            ("spaces", environment.spaces[0].body),
            ("guests", environment.guests[0]),
        ):
            path, name = f"{kind}/{body['id']}", "\x1b[31mred [bold]"
            change = {"id": body["id"], "changes": {"name": name}}
            async with reader.session.post(control, json=change) as response:
                assert response.status == 200
            assert (await reader.get(path))[1]["data"]["name"] == name
            async with reader.session.post(control, json={"id": body["id"]}) as response:
                assert response.status == 200
            assert (await reader.get(path))[0] == 404
        async with reader.session.post(control, json={"id": "us_usr_none"}) as response:
            assert response.status == 404
        assert len(await reader.rows("users", pageSize=100)) == 23
        assert len(await reader.rows("spaces", pageSize=100)) == 7


async def test_settings_change_while_it_runs() -> None:
    """A setting takes effect at once; what the account was built from is refused."""
    async with reading(events=300, environments=1) as reader:
        url = f"{reader.sandbox.control_url}/settings"
        async with reader.session.post(url, json={"page_cap": 7}) as response:
            assert (await response.json())["page_cap"] == 7
        assert len(await reader.rows("events", pageSize=100)) == 7
        for wrong in ({"seed": 2}, {"page_capp": 1}, {"page_cap": "many"}, {"page_cap": 0}):
            async with reader.session.post(url, json=wrong) as response:
                assert response.status == 400
        assert len(await reader.rows("events", pageSize=100)) == 7


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("rewrite", {"ids": 7}),
        ("rewrite", {"ids": [], "changes": "none"}),
        ("remove", {"ids": None}),
        ("objects", {"id": "us_usr_1", "changes": 7}),
        ("emit", {"environment": "us_env_1", "count": "many"}),
        ("fault", {"kind": "no such"}),
    ],
)
async def test_body_that_cannot_be_used_is_refused(path: str, body: dict[str, Any]) -> None:
    """With what is expected, and not as if the sandbox had broken."""
    async with reading(events=0) as reader:
        url = f"{reader.sandbox.control_url}/{path}"
        async with reader.session.post(url, json=body) as response:
            assert response.status == 400
            assert (await response.json())["errors"][0]["key"] == "invalid_body"


async def test_taken_port_is_said_so() -> None:
    """A port that is in use is a usage error that names it."""
    async with reading(events=0) as reader:
        port = int(reader.sandbox.url.split(":")[2].split("/")[0])
        with pytest.raises(PortInUseError, match=f"127.0.0.1:{port}") as caught:
            await Sandbox(SandboxOptions(port=port, events=0)).start()
        assert caught.value.exit_code == 2


async def test_address_to_listen_on_can_be_chosen() -> None:
    """It listens where it is told to, and on no other address, and its URL says where that is."""
    sandbox = Sandbox(SandboxOptions(events=0, host="127.0.0.2"))
    await sandbox.start()
    try:
        assert sandbox.url.startswith("http://127.0.0.2:")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{sandbox.control_url}/settings") as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(sandbox.url.replace("127.0.0.2", "127.0.0.1"))
    finally:
        await sandbox.stop()


async def test_process_shows_the_same_account_and_ends_cleanly() -> None:
    """As a process it shows the account of its seed, and a signal ends it with 0."""
    options: dict[str, Any] = {"events": 50, "seed": 5, "until": "2026-01-05T09:30:00Z"}
    async with SandboxProcess(**options) as sandbox:
        environments = await sandbox.environments()
        ids = await sandbox.emit(next(iter(environments)), "job:ready", count=3)
        assert len(set(ids)) == 3
        assert await sandbox.ledger() == []
    assert sandbox.returncode == 0
    async with SandboxProcess(**options) as again:
        assert await again.environments() == environments
