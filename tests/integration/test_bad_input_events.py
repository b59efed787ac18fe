"""Events and names that were made to do harm: to the API's other endpoints, or to a terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.request_tap import RequestTap
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

CLIMBING = (
    "../x",
    "us_usr_/../../x",
    "us_usr_../../environments?x",
    "us_g_%2e%2e/%2e%2e/x",
    "us_ag_x/../../users",
    "us_usr_x?y=1",
    "us_usr_x#y",
    "us_usr_x\r\nX-Evil: 1",
    "us_usr_\N{FULLWIDTH SOLIDUS}x",
    "us_usr_" + "x" * 200,
    "//evil.example.com/x",
)
"""Actors whose id, put into a URL as it is, asks for something else."""

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b2J[bold]\N{RIGHT-TO-LEFT OVERRIDE}name\r\nnext"
"""Sets a terminal's title, clears it, colours, marks up, turns the text around, breaks the line."""

CONTROLS = ("\x1b]", "\x07", "\x1b[2J", "\r")
HARMFUL = {"json": CONTROLS, "console": (*CONTROLS, "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}")}
"""What no log line may hold; a line of JSON is for a program, which takes the rest as text."""

PATHS = re.compile(
    r"(?:POST /v1/auth"
    r"|GET /v1/(?:environments|events|users|guests|spaces|agents)(?:\?[\w=&%.:+-]*)?"
    r"|GET /v1/(?:environments|users|guests|spaces|agents)/[A-Za-z0-9_-]{1,128}(?:\?[\w=&%-]*)?)"
)
"""All that the daemon may ever ask for."""


async def test_actor_id_that_climbs_out_of_its_path_is_never_sent(
    broker: LocalBroker, prefix: str
) -> None:
    """A crafted actor id leads to no request; its event is archived, without a name."""
    actors: dict[str, dict[str, Any]] = {}

    def keep(message: Message) -> None:
        record = json.loads(message.value or b"")
        actors[record["id"]] = record["actor"]

    async with SandboxProcess(events=100, environments=2) as sandbox:
        environments = list(await sandbox.environments())
        wanted: dict[str, str] = {}
        for actor in CLIMBING:
            event = {"context": {"actorId": actor, "environmentId": environments[0]}}
            (event_id,) = await sandbox.emit(environments[0], "workbook:updated", event=event)
            wanted[event_id] = actor
        newest = await sandbox.emit_everywhere()
        async with (
            RequestTap(sandbox.url) as tap,
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit", on_record=keep) as follower,
            DaemonProcess(
                environ_of(sandbox, broker.bootstrap_servers, prefix, FLATFILE__API_URL=tap.url)
            ) as daemon,
        ):
            await follower.until_published(newest, within_s=30)
            assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    for event_id, actor in wanted.items():
        shown = actors[event_id]
        assert shown["id"] == actor
        # What has not even the beginning of an id is nobody who could be looked up.
        unknown = shown["type"] == "unknown"
        assert shown["resolution"] == ("not_applicable" if unknown else "not_found")
        assert "name" not in shown
    assert len(tap.requests) > 5
    assert [one for one in tap.requests if not PATHS.fullmatch(one)] == []


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_names_with_terminal_escapes_are_kept_and_never_obeyed(
    log_format: str, broker: LocalBroker, prefix: str
) -> None:
    """Names that carry escapes are archived as they are, and no log line carries the escape."""
    records: list[dict[str, Any]] = []

    def keep(message: Message) -> None:
        records.append(json.loads(message.value or b""))

    async with SandboxProcess(events=0, environments=2) as sandbox:
        environment = next(iter(await sandbox.environments()))
        await sandbox.post("environments", {"id": environment, "name": ESCAPES})
        user = (await sandbox.account())["users"][0]["id"]
        await sandbox.post("objects", {"id": user, "changes": {"name": ESCAPES}})
        event = {"context": {"actorId": user, "environmentId": environment}}
        (event_id,) = await sandbox.emit(environment, "workbook:updated", event=event)
        environ = environ_of(
            sandbox, broker.bootstrap_servers, prefix, LOG__FORMAT=log_format, LOG__LEVEL="debug"
        )
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit", on_record=keep) as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published([(environment, event_id)], within_s=30)
            assert await daemon.stop() == 0
    assert records[0]["actor"]["name"] == ESCAPES
    assert records[0]["environment"]["name"] == ESCAPES
    assert "owned" in daemon.text  # It is logged: as what it is, not as what it does.
    for harmful in HARMFUL[log_format]:
        assert harmful not in daemon.text
    assert not any(line.startswith("next") for line in daemon.lines)
