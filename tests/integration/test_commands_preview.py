"""`streamer preview`: what would be published, as `run` publishes it, and nothing written."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from streamer.audit.chain import genesis, unseal
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import streamer

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

EVENTS = 60
PLANTED = "PLANTED-0123456789"

_OF_THE_MOMENT = re.compile(rb'"(observed|as_of)":"[^"]*"|,"integrity":\{.*\}')
"""What differs between two readings of the same event, and the hash over it."""


@pytest.mark.timeout(120)
async def test_records_are_those_that_run_publishes(broker: LocalBroker, prefix: str) -> None:
    """But for when they were read, previewed records are byte for byte those of the topic."""
    published: list[bytes] = []

    def keep(message: Message) -> None:
        published.append(message.value or b"")

    async with SandboxProcess(events=EVENTS, environments=1, order="newest") as sandbox:
        previewed = await streamer("preview", "--json", "-n", "1000", settings=sandbox.environ)
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix)
        topic = f"{prefix}.audit"
        async with (
            AuditFollower(broker.bootstrap_servers, topic, on_record=keep) as follower,
            DaemonProcess(environ, follower=follower),
        ):
            await follower.until_records(EVENTS, within_s=60)
    assert previewed.code == 0, previewed.err
    assert [_OF_THE_MOMENT.sub(b"", line.encode()) for line in previewed.lines] == [
        _OF_THE_MOMENT.sub(b"", value) for value in published
    ]


async def test_the_chain_of_each_environment_begins_at_its_beginning() -> None:
    """`sequence` counts from 1, each hash covers the one before, and standard error says so."""
    async with SandboxProcess(events=300, page_cap=10) as sandbox:
        result = await streamer("preview", "--json", "-n", "90", settings=sandbox.environ)
    heads: dict[str, tuple[int, bytes]] = {}
    for line in result.lines:
        record, seal = json.loads(line), unseal(line.encode())
        environment = record["environment"]["id"]
        sequence, head = heads.get(environment, genesis(environment))
        assert seal.holds()
        assert (record["sequence"], seal.previous) == (sequence + 1, head)
        heads[environment] = record["sequence"], seal.digest
    assert sorted(sequence for sequence, _ in heads.values()) == [30, 30, 30]
    assert (
        "90 records, as in a first run: sequence and hashes count from the beginning" in result.err
    )


async def test_lines_are_those_of_tail_and_no_more_than_asked_for() -> None:
    """Without --json there is a sentence for each record; what one lacks, others may use."""
    async with SandboxProcess(events=0, environments=2) as sandbox:
        first, second = await sandbox.environments()
        actor = (await sandbox.account())["users"][0]
        event = {"context": {"actorId": actor["id"]}}
        await sandbox.emit(first, "workbook:updated", event=event)
        await sandbox.emit(second, "workbook:deleted", count=30, event=event)
        result = await streamer("preview", settings=sandbox.environ)
    assert len(result.lines) == 20
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ  production  {actor['name']} updated workbook .*",
        result.lines[0],
    )
    assert all(f" {actor['name']} deleted workbook " in line for line in result.lines[1:])


async def test_credentials_and_personal_data_are_treated_as_in_the_topic() -> None:
    """A planted token shows nowhere; under a policy no name does; excluded topics are left out."""
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environment = next(iter(await sandbox.environments()))
        actor = (await sandbox.account())["users"][0]
        payload = {"accessToken": PLANTED, "said": f"by {actor['email']}"}
        event = {"context": {"actorId": actor["id"]}, "payload": payload}
        await sandbox.emit(environment, "space:updated", event=event)
        await sandbox.emit(environment, "cron:hourly")
        await sandbox.emit(environment, raw='{"id":"us_evt_broken","topic":7}')
        settings = {
            **sandbox.environ,
            "STREAMER_PRIVACY__PERSONAL_DATA": "drop",
            "STREAMER_CAPTURE__EXCLUDE_TOPICS": "cron:*",
        }
        result = await streamer("preview", "--json", settings=settings)
    space, stub = map(json.loads, result.lines)
    assert (space["action"], space["redacted"]) == ("space:updated", ["payload.accessToken"])
    assert stub["payload_omitted"]["reason"] == "wrong_type"
    for secret in (PLANTED, actor["email"], actor["name"]):
        assert secret not in result.everything


async def test_an_environment_is_chosen_by_id_or_name() -> None:
    """An unknown one is answered with those that there are."""
    async with SandboxProcess(events=90) as sandbox:
        for name in (*await sandbox.environments(), "STAGING"):
            arguments = ("--environment", name, "-n", "3", "--json")
            result = await streamer("preview", *arguments, settings=sandbox.environ)
            shown = [json.loads(line)["environment"] for line in result.lines]
            assert len(shown) == 3
            assert all(name in {one["id"], one["name"].upper()} for one in shown)
        result = await streamer("preview", "--environment", "stagin", settings=sandbox.environ)
    assert (result.code, result.out) == (2, "")
    assert "It has production, staging, development." in result.err


async def test_an_environment_that_is_closed_is_left_out_and_named() -> None:
    """403 for one environment does not keep the others from being shown."""
    async with SandboxProcess(events=90, environments=2) as sandbox:
        closed = next(iter(await sandbox.environments()))
        await sandbox.post("environments", {"id": closed, "forbidden": True})
        result = await streamer("preview", "-n", "4", settings=sandbox.environ)
    assert result.code == 0
    assert len(result.lines) == 4
    assert "without environment production: GET /events: status 403" in result.err


async def test_a_start_now_has_nothing_to_show() -> None:
    """With `START=now` nothing that has happened is published: said without asking anybody."""
    settings = {"STREAMER_CAPTURE__START": "now"}
    result = await streamer("preview", settings=settings)
    assert (result.code, result.out) == (0, "")
    assert "STREAMER_CAPTURE__START is now" in result.err


async def test_nothing_older_than_a_start_is_shown() -> None:
    """With a date-time as `START` the first record is the first event from then on."""
    async with SandboxProcess(events=0, environments=1) as sandbox:
        environment = next(iter(await sandbox.environments()))
        for day in (1, 2, 3):
            event = {"createdAt": f"2026-01-0{day}T00:00:00.000Z"}
            await sandbox.emit(environment, "job:ready", event=event)
        settings = {**sandbox.environ, "STREAMER_CAPTURE__START": "2026-01-02T00:00:00Z"}
        result = await streamer("preview", "--json", settings=settings)
    shown = [(json.loads(line)["sequence"], json.loads(line)["time"]) for line in result.lines]
    assert shown == [(1, "2026-01-02T00:00:00.000Z"), (2, "2026-01-03T00:00:00.000Z")]
