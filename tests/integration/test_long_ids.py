"""Ids that are too long for where ids go: published once, whatever happens in between."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.judge import Message

LONG = "us_evt_" + "x" * 600
BROKEN = "us_evt_" + "y" * 600


@pytest.mark.timeout(120)
async def test_an_event_with_a_long_id_is_not_repeated_after_a_restart(
    broker: LocalBroker, prefix: str
) -> None:
    """Its record has the digest of the id, and a worker that starts anew knows it by that."""
    ids: Counter[str] = Counter()

    def keep(message: Message) -> None:
        ids[json.loads(message.value or b"")["id"]] += 1

    async with SandboxProcess(events=50, environments=2) as sandbox:
        environment = next(iter(await sandbox.environments()))
        created_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for id_, topic in ((LONG, '"workbook:updated"'), (BROKEN, "7")):
            raw = f'{{"id":"{id_}","topic":{topic},"createdAt":"{created_at}","payload":{{}}}}'
            await sandbox.emit(environment, raw=raw)
        environ = environ_of(sandbox, broker.bootstrap_servers, prefix)
        async with AuditFollower(
            broker.bootstrap_servers, f"{prefix}.audit", on_record=keep
        ) as follower:
            for _ in range(2):
                async with DaemonProcess(environ, follower=follower) as daemon:
                    newest = await sandbox.emit_everywhere()
                    await follower.until_published(newest, within_s=40)
                    assert await daemon.stop() == 0
            await follower.findings(await sandbox.ledger())
    for id_ in (LONG, BROKEN):
        assert ids[f"sha256:{sha256(id_.encode()).hexdigest()}"] == 1
        assert id_ not in ids
    assert set(ids.values()) == {1}
