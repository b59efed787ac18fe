"""An EndTxn that arrives late, amid a later transaction: it hits nothing, or its damage is mended.

Records are acknowledged before their checkpoint is sent, and that is the moment at which it
arrives: a transaction that it ends is there in part, its records without a checkpoint.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import RUN, DaemonProcess, environ_of
from tests.support.kafka_parts import values
from tests.support.kafka_proxy import Api, Fault
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import streamer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.fault_run import Route
    from tests.support.kafka_proxy import Catch

CARELESS = ("-m", "tests.support.careless_worker")

PUBLISHED_S = 40.0


class Stage(NamedTuple):
    """One environment, one shard, and who reads along."""

    route: Route
    sandbox: SandboxProcess
    follower: AuditFollower
    environ: dict[str, str]

    async def publish(self) -> None:
        """Let an event happen, and wait until it is published."""
        event = await self.sandbox.emit_everywhere()
        await self.follower.until_published(event, within_s=PUBLISHED_S)

    async def held_amid(
        self, api: Api, naming: bytes = b""
    ) -> tuple[Catch, Sequence[tuple[str, str]]]:
        """Let an event happen, and hold this request of the transaction that its record is in."""
        proxy = self.route.proxy
        # Other transactions come and go, with checkpoints alone.
        record = proxy.catch(Api.PRODUCE, Fault.HOLD, naming=b"late.audit")
        event = await self.sandbox.emit_everywhere()
        await until(record.caught)
        held = proxy.catch(api, Fault.HOLD, naming=naming)
        record.release()
        await until(held.caught)
        return held, event

    async def lost_end(self) -> Catch:
        """Publish an event with its EndTxn on the way: the connection is lost, a second one goes.

        Returns:
            The first one, which has not arrived.
        """
        late, event = await self.held_amid(Api.END_TXN)
        late.hang_up()
        await self.follower.until_published(event, within_s=PUBLISHED_S)
        return late

    async def visible(self) -> set[str]:
        """The ids that any consumer sees at this moment."""
        found = await values(self.route.direct, "late.audit")
        return {json.loads(value or b"")["id"] for value in found}

    async def counts(self) -> dict[str, int]:
        """What `streamer verify` has to find fault with, by kind."""
        found = await streamer("verify", "--json", settings=self.environ)
        assert found.code in {0, 5}, found.everything
        return dict(json.loads(found.out)["counts"])


@asynccontextmanager
async def stage(route: Route) -> AsyncIterator[Stage]:
    """Set it, with a backlog."""
    sandbox = SandboxProcess(environments=1, events=20)
    async with sandbox, AuditFollower(route.direct, "late.audit") as follower:
        environ = environ_of(
            *(sandbox, route.proxy.servers, "late"),
            KAFKA__PARTITIONS="1",
            KAFKA__GROUP_INSTANCE_ID="only",
            KAFKA__TRANSACTION_TIMEOUT="4",
        )
        yield Stage(route, sandbox, follower, environ)


async def until(happened: asyncio.Event) -> None:
    """Wait for what becomes of a request."""
    async with asyncio.timeout(PUBLISHED_S):
        await happened.wait()


async def test_late_end_hits_no_transaction_of_a_worker(route: Route) -> None:
    """The broker refuses it: its producer was thrown away when a second one had to be sent."""
    async with (
        stage(route) as on,
        DaemonProcess(on.environ, program=RUN, follower=on.follower) as daemon,
    ):
        await on.publish()
        late = await on.lost_end()
        checkpoint, event = await on.held_amid(Api.PRODUCE, b"late.checkpoints")
        late.release()
        await until(late.answered)
        visible = await on.visible()
        assert [event_id for _, event_id in event if event_id in visible] == []
        checkpoint.release()
        await on.follower.until_published(event, within_s=PUBLISHED_S)
        assert len(daemon.events("shard.starts_over")) == 1
        assert await daemon.stop() == 0
        assert await on.counts() == {}
        assert (await on.follower.findings(await on.sandbox.ledger())).flaws == []


async def test_transaction_torn_by_a_late_end_is_found_and_mended(route: Route) -> None:
    """Records left without a checkpoint are known to the next worker, and not published again."""
    async with stage(route) as on:
        async with DaemonProcess(on.environ, program=CARELESS, follower=on.follower) as torn:
            await on.publish()
            late = await on.lost_end()
            _, event = await on.held_amid(Api.PRODUCE, b"late.checkpoints")
            late.release()
            await on.follower.until_published(event, within_s=PUBLISHED_S)
            await torn.kill()
        assert await on.counts() == {"torn": 1}
        async with DaemonProcess(on.environ, program=RUN, follower=on.follower) as successor:
            await on.publish()
            assert len(successor.events("shard.torn_transaction_mended")) == 1
            _, metrics = await successor.get("/metrics")
            assert "streamer_torn_transactions_total 1.0" in metrics
            assert await successor.stop() == 0
        assert await on.counts() == {}
        assert (await on.follower.findings(await on.sandbox.ledger())).flaws == []
