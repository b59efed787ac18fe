"""How long environments wait when their worker ends: 12 shards, 100 environments, two workers.

From the end of a worker until what happened since then is published in every environment, so that
all of them have been polled again. Settings are the defaults. On a quiet machine, by command:

    .venv/bin/python -m tests.bench.takeover
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamer.broker.local import LocalBroker
from tests.support.audit_follower import AuditFollower
from tests.support.daemon_process import DaemonProcess, environ_of
from tests.support.sandbox_process import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARDS: Final = 12
WITHIN_S: Final = 60.0
PROMISED_S: Final = {"SIGTERM": 2.0, "kill -9": 10.0, "restart under its name": 3.0}


class Stage:
    """An account, a broker, and whoever reads along."""

    def __init__(
        self, sandbox: SandboxProcess, follower: AuditFollower, environ: Mapping[str, str]
    ) -> None:
        self.sandbox = sandbox
        self.environ = environ
        self._follower = follower

    async def settle(self, *workers: DaemonProcess) -> None:
        """Wait until the workers share all shards and everything is published."""
        await asyncio.gather(*(one.until_shards(SHARDS // len(workers)) for one in workers))
        await self._published()

    async def since(self, began: float) -> float:
        """Seconds from `began` until what happens now is published everywhere."""
        await self._published()
        return time.monotonic() - began

    async def _published(self) -> None:
        newest = await self.sandbox.emit_everywhere()
        await self._follower.until_published(newest, within_s=WITHIN_S)


async def when_terminated(stage: Stage) -> float:
    """One of two workers is asked to stop."""
    async with DaemonProcess(stage.environ) as one, DaemonProcess(stage.environ) as other:
        await stage.settle(one, other)
        began = time.monotonic()
        stopping = asyncio.ensure_future(one.stop())
        took_s = await stage.since(began)
        assert await stopping == 0
        return took_s


async def when_killed(stage: Stage) -> float:
    """One of two workers is killed."""
    async with DaemonProcess(stage.environ) as one, DaemonProcess(stage.environ) as other:
        await stage.settle(one, other)
        began = time.monotonic()
        await one.kill()
        return await stage.since(began)


async def when_restarted(stage: Stage) -> float:
    """The only worker is killed and started again under the name that it had."""
    named = {**stage.environ, "STREAMER_KAFKA__GROUP_INSTANCE_ID": "one"}
    async with DaemonProcess(named) as one:
        await stage.settle(one)
        began = time.monotonic()
        await one.kill()
        await one.start()
        return await stage.since(began)


async def main(environments: int) -> int:
    """Measure all three, and say whether each is as promised."""
    cases = dict(zip(PROMISED_S, (when_terminated, when_killed, when_restarted), strict=True))
    as_promised = True
    with tempfile.TemporaryDirectory(prefix="streamer-bench-") as folder:
        broker = LocalBroker(Path(folder))
        await broker.start()
        try:
            for number, (name, case) in enumerate(cases.items()):
                prefix = f"bench{number}"
                async with (
                    SandboxProcess(events=20 * environments, environments=environments) as sandbox,
                    AuditFollower(broker.bootstrap_servers, f"{prefix}.audit") as follower,
                ):
                    environ = environ_of(
                        sandbox, broker.bootstrap_servers, prefix, KAFKA__PARTITIONS=str(SHARDS)
                    )
                    took_s = await case(Stage(sandbox, follower, environ))
                as_promised = as_promised and took_s <= PROMISED_S[name]
                sys.stdout.write(f"{name}: {took_s:.1f} s (promised: {PROMISED_S[name]:.0f} s)\n")
        finally:
            broker.kill()
    return 0 if as_promised else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, default=100)
    sys.exit(asyncio.run(main(parser.parse_args().environments)))
