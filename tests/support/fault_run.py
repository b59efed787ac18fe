"""One worker, one shard, one environment, and at most one request to Kafka that goes wrong.

The worker reaches its broker through a proxy; the judge reads past it. What was caught is one
request, named by its API key and its number among the worker's requests of that key.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from typing_extensions import override

from tests.support.audit_follower import AuditFollower, ends_of
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.kafka_proxy import Api, Fault
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kafka_proxy import Catch, KafkaProxy

TRANSACTION_S: Final = 2.0
"""After which the broker aborts a transaction; a request may take half of it."""

HELD_S: Final = 2.5 * TRANSACTION_S
"""How long a request is held: its transaction is long over, and its client has given it up."""

PERIODIC: Final = frozenset({Api.METADATA, Api.FETCH, Api.HEARTBEAT, Api.OFFSET_COMMIT})
"""Requests that come as time passes; how many there are differs from run to run."""

PUBLISHED_S: Final = 90.0


class Route(NamedTuple):
    """How worker and judge reach one broker.

    Attributes:
        direct: What the judge is given, past the proxy.
    """

    proxy: KafkaProxy
    direct: str


class Wrong(NamedTuple):
    """One request that goes wrong.

    Attributes:
        number: Among the worker's requests of that API, from 0.
    """

    api: int
    number: int
    fault: Fault

    @override
    def __str__(self) -> str:
        name = Api(self.api).name if self.api in Api.__members__.values() else str(self.api)
        return f"{name} {self.number} {self.fault.name}"


def port_past_the_proxy(broker_output: Path) -> int:
    """The port of the listener that a broker behind a proxy keeps for itself.

    The controller's comes first, the one behind the proxy second.
    """
    said = broker_output.read_text()
    return int(re.findall(r"Awaiting socket connections on 127\.0\.0\.1:(\d+)\.", said)[2])


async def flaws_of(
    route: Route, prefix: str, wrong: Wrong | None, *, shared: bool = False, begun: bool = False
) -> list[str]:
    """Publish a backlog and what is new, with this request going wrong, and judge.

    Args:
        route: To the broker.
        prefix: Of the topics.
        wrong: What goes wrong; None: nothing.
        shared: Whether others use the proxy at the same time: then only requests are caught that
            name the transactional id or a topic of this run.
        begun: Whether another worker has published something before, so that there is a log that
            has to be read back.
    """
    audit = f"{prefix}.audit"
    options = {
        "KAFKA__PARTITIONS": "1",
        "KAFKA__TRANSACTION_TIMEOUT": str(TRANSACTION_S),
        "KAFKA__SESSION_TIMEOUT": "2",
    }
    async with (
        SandboxProcess(environments=1, events=30) as sandbox,
        AuditFollower(route.direct, audit) as follower,
    ):

        async def publish() -> None:
            await follower.until_published(await sandbox.emit_everywhere(), within_s=PUBLISHED_S)

        if begun:
            environ = environ_of(sandbox, route.direct, prefix, **options)
            async with DaemonProcess(environ, follower=follower) as daemon:
                await publish()
                assert await daemon.stop() == 0
        environ = environ_of(sandbox, route.proxy.servers, prefix, **options)
        catch = _armed(route.proxy, wrong, f"{prefix}.".encode() if shared else b"")
        async with (
            asyncio.TaskGroup() as tasks,
            DaemonProcess(environ, follower=follower) as daemon,
        ):
            happening = tasks.create_task(_let_happen(catch))
            await publish()
            # The first heartbeat may come after everything has been published.
            is_to_come = wrong is not None and wrong.api == Api.HEARTBEAT
            if catch is not None and (catch.caught.is_set() or is_to_come):
                await happening
                # What was late has arrived, and nothing was started again.
                await publish()
            code = await daemon.stop()
            assert code == 0, daemon.text[-3000:]
        found = (await follower.findings(await sandbox.ledger())).flaws
    for topic in (f"{prefix}.checkpoints", f"{prefix}.dead-letters"):
        ends = await asyncio.to_thread(ends_of, route.direct, topic)
        if ends.committed < ends.written:
            found.append(f"a transaction is open in {topic}")
    return [f"{wrong}: {flaw}" for flaw in found]


def _armed(proxy: KafkaProxy, wrong: Wrong | None, naming: bytes) -> Catch | None:
    if wrong is None:
        return None
    return proxy.catch(wrong.api, wrong.fault, after=wrong.number, naming=naming)


async def _let_happen(catch: Catch | None) -> None:
    if catch is None:
        return
    async with asyncio.timeout(PUBLISHED_S):
        await catch.caught.wait()
    if catch.fault is Fault.HOLD:
        # Not for synchronisation: how late it is, is the fault.
        await asyncio.sleep(HELD_S)
        catch.release()
