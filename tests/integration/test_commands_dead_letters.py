"""`streamer dead-letters` against a real topic: what is listed, and the bytes that come back."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from streamer.kafka.client import Connection
from streamer.kafka.partitions import partition_of
from streamer.kafka.topics import ensure
from streamer.kafka.transaction import Outgoing
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_parts import commit, kafka_settings, started
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import at_terminal, kafka_variables, streamer
from tests.support.streamer_command import environment as variables

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker

ESCAPES = "\x1b[2J\x9b31m\N{RIGHT-TO-LEFT OVERRIDE}\r\n"
HOSTILE = (
    b'{"topic":7,"id":"us_evt_b1","payload":{"a":"\\u001b"}}',
    b'{"topic":"x:y","payload":"\xff"}',
    b'{"id":"us_evt_b3","topic":7,"payload":"\x7f\xc2\x9b2J"}',
)
"""Wrong types; no id, and no UTF-8; what a terminal would obey."""


def sha256_id(raw: bytes) -> str:
    """What an element without an id is known by."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


async def raw_of(settings: dict[str, str], *arguments: str) -> tuple[int, bytes, bytes]:
    """Exit code, and what the command wrote, byte for byte."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamer", "dead-letters", *arguments),
        env=variables(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode is not None
    return process.returncode, out, err


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_what_the_daemon_could_not_read_is_listed_and_comes_back_in_one_piece(
    broker: LocalBroker, prefix: str
) -> None:
    """Hostile events are listed with the number of their stub; a large one is put together."""
    async with SandboxProcess(events=50, environments=2) as sandbox:
        account = await sandbox.account()
        first, second = (one["id"] for one in account["environments"])
        for raw in HOSTILE:
            await sandbox.emit(first, raw=raw.decode("latin-1"))
        text = "an answer to everything, " * 100_000
        event = {"payload": {"text": text}}
        (large,) = await sandbox.emit(second, "workbook:updated", event=event)
        newest = await sandbox.emit_everywhere()
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix)
        async with (
            AuditFollower(broker.bootstrap_servers, f"{prefix}.audit") as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            await follower.until_published([*newest, (second, large)], within_s=40)
            assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    settings = kafka_variables(broker, prefix)

    listed = await streamer("dead-letters", "list", "--json", settings=settings)
    assert listed.code == 0, listed.err
    letters: list[dict[str, Any]] = [json.loads(line) for line in listed.lines]
    assert {one["id"] for one in letters} >= {"us_evt_b1", "us_evt_b3", large}
    assert all(one["complete"] for one in letters)
    by_id = {one["id"]: one for one in letters}
    assert by_id[large]["parts"] > 1
    assert by_id[large]["reason"] == "too_large"

    lines = await streamer("dead-letters", "list", "--environment", first, settings=settings)
    assert len(lines.lines) == len([one for one in letters if one["environment"] == first])
    assert f"#{by_id['us_evt_b1']['sequence']} " in lines.out
    newest_only = await streamer("dead-letters", "list", "--last", "1", "--json", settings=settings)
    assert newest_only.lines == listed.lines[-1:]

    for one in letters:
        place = f"{one['partition']}/{one['offset']}"
        for which in (place, one["id"]):
            code, out, err = await raw_of(settings, "show", which)
            assert (code, err) == (0, b"")
            assert hashlib.sha256(out).hexdigest() == one["sha256"]
            assert len(out) == one["bytes"]
    _, out, _ = await raw_of(settings, "show", large)
    assert json.loads(out)["payload"]["text"] == text
    for id_, sent in zip(("us_evt_b1", sha256_id(HOSTILE[1]), "us_evt_b3"), HOSTILE, strict=True):
        _, out, _ = await raw_of(settings, "show", id_)
        assert out == sent

    proof = await streamer("verify", settings=settings)
    assert proof.code == 0, proof.everything


class Topic:
    """A dead-letter topic that tests write to."""

    def __init__(self, broker: LocalBroker, prefix: str) -> None:
        self.kafka = kafka_settings(broker.bootstrap_servers, prefix, partitions=2)
        self.connection = Connection(self.kafka)
        self.settings = kafka_variables(broker, prefix)

    async def publish(self, environment: str, *messages: tuple[bytes, dict[str, str]]) -> None:
        """Commit messages with these headers."""
        topic = self.kafka.dead_letter_topic
        partition = partition_of(environment, 2)
        async with started(self.connection, f"{topic}.x", partition=partition) as producer:
            outgoing = [
                Outgoing(
                    environment.encode(),
                    value,
                    headers=[(name, text.encode()) for name, text in headers.items()],
                )
                for value, headers in messages
            ]
            await commit(producer, {topic: outgoing})


@pytest.fixture
async def topic(broker: LocalBroker, prefix: str) -> Topic:
    """An empty dead-letter topic."""
    made = Topic(broker, prefix)
    await ensure(made.connection, made.kafka)
    return made


def headers(id_: str, part: int = 1, parts: int = 1, **more: str) -> dict[str, str]:
    """Headers as the daemon writes them."""
    return {
        "reason": "wrong_type",
        "environment": "us_env_a",
        "id": id_,
        "revision": "1",
        "sequence": "1",
        "observed": "2026-11-23T20:46:05.012Z",
        "parts": str(parts),
        "part": str(part),
        **more,
    }


async def test_what_is_missing_altered_or_foreign_is_said(topic: Topic) -> None:
    """A lost part, other bytes than the digest's, and a foreign message are told from the rest."""
    await topic.publish(
        "us_env_a",
        (b"one", headers("us_evt_1", 1, 3, sequence="1")),
        (b"three", headers("us_evt_1", 3, 3, sequence="1")),
        (b"altered", headers("us_evt_2", sequence="2", sha256="0" * 64)),
        (b"whole", headers("us_evt_3", sequence="3", sha256=hashlib.sha256(b"whole").hexdigest())),
        (b"foreign", {"reason": "none"}),
    )
    listed = await streamer("dead-letters", "list", settings=topic.settings)
    assert len(listed.lines) == 3
    assert "INCOMPLETE" in listed.lines[0]
    assert "INCOMPLETE" not in listed.lines[1] + listed.lines[2]
    assert "1 message in" in listed.err
    assert await raw_of(topic.settings, "show", "us_evt_3") == (0, b"whole", b"")
    code, out, err = await raw_of(topic.settings, "show", "us_evt_1")
    assert (code, out) == (1, b"onethree")
    assert b"missing: 2." in err
    code, out, err = await raw_of(topic.settings, "show", "us_evt_2")
    assert (code, out) == (1, b"altered")
    assert b"SHA-256" in err


async def test_an_id_in_two_environments_is_asked_about(topic: Topic) -> None:
    """Where several dead letters have an id, the command names them and shows none by guess."""
    for environment in ("us_env_a", "us_env_b"):
        await topic.publish(
            environment, (environment.encode(), headers("us_evt_1", environment=environment))
        )
    code, out, err = await raw_of(topic.settings, "show", "us_evt_1")
    assert (code, out) == (2, b"")
    assert b"2 dead letters have this id" in err
    for environment in ("us_env_a", "us_env_b"):
        shown = await raw_of(topic.settings, "show", "us_evt_1", "--environment", environment)
        assert shown == (0, environment.encode(), b"")


@pytest.mark.parametrize("which", ["us_evt_none", "0/999", "99/0", "0/-1"])
async def test_what_is_not_there_is_said(which: str, topic: Topic) -> None:
    """A dead letter that does not exist ends with a sentence and exit code 1."""
    found = await streamer("dead-letters", "show", which, settings=topic.settings)
    assert (found.code, found.out) == (1, "")
    assert "there is no such dead letter" in found.err


async def test_at_a_terminal_nothing_is_obeyed(topic: Topic) -> None:
    """Escapes in the bytes and in the headers are shown as what they are."""
    value = f"<{ESCAPES}>".encode() + b"\xff"
    await topic.publish("us_env_a", (value, headers(f"us_evt_{ESCAPES}", reason=ESCAPES)))

    for arguments in (["list"], ["show", f"us_evt_{ESCAPES}"]):
        result = await at_terminal("dead-letters", *arguments, settings=topic.settings)
        assert result.code == 0, result.everything
        assert "\\x1b[2J" in result.out
        for harmful in ("\x1b", "\x9b", "\N{RIGHT-TO-LEFT OVERRIDE}"):
            assert harmful not in result.out
        assert result.out.count("\n") == 1
