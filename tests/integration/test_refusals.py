"""What the broker refuses goes out as a stub, and everything else arrives, in order."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import RUN, DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess
from tests.support.topic_limits import set_limit

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

HIDDEN = ("-m", "tests.support.hidden_limits")


class Stubs:
    """The records that only stand for a dead letter: event ids with the reason."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def note(self, message: Message) -> None:
        """Look at a message of the audit topic."""
        if b'"payload_omitted"' in (message.value or b""):
            record: dict[str, Any] = json.loads(message.value or b"")
            self.reasons[record["id"]] = record["payload_omitted"]["reason"]


def noise(size_bytes: int) -> dict[str, str]:
    """Return a payload of about this size, of which no codec makes less than three quarters."""
    chance = random.Random(size_bytes)  # noqa: S311 - noise, no secret
    return {"noise": base64.b64encode(chance.randbytes(size_bytes * 3 // 4)).decode()}


@pytest.mark.parametrize(
    ("program", "limit", "event_bytes", "reason"),
    [(RUN, 16 * 1024, 40_000, "too_large"), (HIDDEN, 600_000, 900_000, "refused")],
    ids=["limit that is told", "limit that is hidden"],
)
async def test_record_limit_that_is_lowered_holds_up_nothing(
    broker: LocalBroker,
    prefix: str,
    program: tuple[str, ...],
    limit: int,
    event_bytes: int,
    reason: str,
) -> None:
    """Under a limit that is lowered while it runs every other event arrives, without a gap."""
    servers, stubs = broker.bootstrap_servers, Stubs()
    async with (
        SandboxProcess(events=400, environments=4, rate=40.0) as sandbox,
        AuditFollower(servers, f"{prefix}.audit", on_record=stubs.note) as follower,
        DaemonProcess(
            environ_of(sandbox, servers, prefix, KAFKA__PARTITIONS="1"),
            program=program,
            follower=follower,
        ) as daemon,
    ):
        await follower.until_records(300, within_s=30)
        await set_limit(servers, f"{prefix}.audit", limit)
        environment = next(iter(await sandbox.environments()))
        large = await sandbox.emit(
            environment, "workbook:updated", event={"payload": noise(event_bytes)}
        )
        await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
        await sandbox.settings(rate=0.0)
        await follower.until_published(await sandbox.emit_everywhere(), within_s=20)
        assert await daemon.stop() == 0
        found = await follower.findings(await sandbox.ledger())
    assert found.flaws == []
    assert stubs.reasons == dict.fromkeys(large, reason)
