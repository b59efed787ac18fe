"""Events and pages beyond what an answer may be, from end to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

MOST_BYTES = 200_000


async def test_event_larger_than_any_answer_holds_up_no_other(
    broker: LocalBroker, prefix: str
) -> None:
    """It becomes a dead letter and a stub, once; what is around it comes out as it is."""
    stubs: list[dict[str, Any]] = []

    def keep(message: Message) -> None:
        record = json.loads(message.value or b"")
        if "payload_omitted" in record:
            stubs.append(record)

    servers = broker.bootstrap_servers
    async with SandboxProcess(events=600, environments=2, event_bytes=1000) as sandbox:
        environ = environ_of(
            sandbox,
            servers,
            prefix,
            FLATFILE__MAX_BODY_BYTES=str(MOST_BYTES),
            CAPTURE__SWEEP_INTERVAL="2",
        )
        async with (
            AuditFollower(servers, f"{prefix}.audit", on_record=keep) as follower,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            first, second = await sandbox.environments()
            await follower.until_published(await sandbox.emit_everywhere(), within_s=30)
            huge = {"payload": {"file": "x" * (5 * MOST_BYTES)}}
            await sandbox.emit(first, count=20)
            (huge_id,) = await sandbox.emit(first, event=huge)
            await sandbox.emit(first, count=20)
            # It may be older than its neighbours by a millisecond: a wider look then finds it.
            awaited = [*await sandbox.emit_everywhere(), (first, huge_id)]
            await follower.until_published(awaited, within_s=40)
            await daemon.stop()
            await daemon.start()
            await sandbox.emit(second)
            await follower.until_published(await sandbox.emit_everywhere(), within_s=40)
            assert await daemon.stop() == 0
            found = await follower.findings(await sandbox.ledger())
    # Its answers were broken off before they had left, so that the ledger need not have it.
    assert set(found.foreign) <= {f"{first}/{huge_id}"}
    assert [flaw for flaw in found.flaws if flaw not in found.foreign] == []
    (stub,) = stubs
    assert (stub["id"], stub["outcome"]) == (huge_id, "unknown")
    assert stub["payload_omitted"]["reason"] == "cut_off"
