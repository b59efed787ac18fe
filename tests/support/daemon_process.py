"""`streamer run` as a process of its own: started, asked, stopped and killed, as an operator would.

Its environment holds what it is given and nothing of ours; what it logs is kept line by line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.audit_follower import AuditFollower
    from tests.support.sandbox_process import SandboxProcess

REPOSITORY: Final = Path(__file__).parents[2]

RUN: Final = ("-m", "streamer", "run")

START_S: Final = 30.0
STOP_S: Final = 20.0
"""What the daemon promises from SIGTERM to its end."""

_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def environ_of(sandbox: SandboxProcess, servers: str, prefix: str, **more: str) -> dict[str, str]:
    """The variables of a deployment with four shards; `more` is `KAFKA__GROUP="g"` and the like."""
    return {
        **sandbox.environ,
        "STREAMER_KAFKA__BOOTSTRAP_SERVERS": servers,
        "STREAMER_KAFKA__TOPIC_PREFIX": prefix,
        "STREAMER_KAFKA__PARTITIONS": "4",
        **{f"STREAMER_{name}": value for name, value in more.items()},
    }


class DaemonProcess:
    """One worker. `async with DaemonProcess(environ) as daemon:` kills what is left of it.

    Attributes:
        lines: What it wrote to standard error so far.
        output: What it wrote to standard output so far.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        program: Sequence[str] = RUN,
        follower: AuditFollower | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            environ: Its variables; nothing of ours but `PATH` and the like.
            program: What Python is given.
            follower: Told when this worker ends without having been asked to.
        """
        own = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._environ = {**own, "STREAMER_WEB__PORT": "0", **environ}
        self._program = program
        self._follower = follower
        self._process: asyncio.subprocess.Process | None = None
        self._reading: list[asyncio.Task[None]] = []
        self._news = asyncio.Condition()
        self.lines: list[str] = []
        self.output: list[str] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def text(self) -> str:
        """Everything that it wrote."""
        return "\n".join([*self.output, *self.lines])

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The log lines, all or those of one event; a line that is not JSON fails the test."""
        found = [json.loads(line) for line in list(self.lines)]
        return [line for line in found if name is None or line.get("event") == name]

    async def start(self) -> None:
        """Start it; what it logged before is forgotten."""
        self.lines, self.output = [], []
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._program,
            cwd=REPOSITORY,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=16 << 20,
        )
        if self._follower is not None:
            self._follower.worker = self
        self._reading = [
            asyncio.create_task(self._keep(self._process.stderr, self.lines), name="stderr"),
            asyncio.create_task(self._keep(self._process.stdout, self.output), name="stdout"),
        ]

    async def until_logged(
        self, event: str, *, within_s: float = START_S, text: str = ""
    ) -> dict[str, Any]:
        """Wait for a log line of this event that has `text` in its own, and return the first."""
        try:
            async with asyncio.timeout(within_s), self._news:
                while not (
                    found := [one for one in self.events(event) if text in one.get("text", "")]
                ):
                    assert self.is_running, f"it ended: {self.text}"
                    await self._news.wait()
        except TimeoutError:
            message = f"no {event} within {within_s} s: {self.text[-3000:]}"
            raise AssertionError(message) from None
        return found[0]

    async def until_events(self, event: str, count: int, *, within_s: float = START_S) -> None:
        """Wait until there are so many log lines of this event."""
        async with asyncio.timeout(within_s), self._news:
            while len(self.events(event)) < count:
                assert self.is_running, f"it ended: {self.text}"
                await self._news.wait()

    async def web_url(self) -> str:
        """Where it serves health and metrics, as its log says."""
        return str((await self.until_logged("daemon.started"))["web"])

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of it."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{await self.web_url()}{path}") as response,
        ):
            return response.status, await response.text()

    async def shards(self) -> frozenset[int]:
        """The shards that it has, if all of them are running, as `/readyz` says."""
        status, page = await self.get("/readyz")
        return frozenset(map(int, json.loads(page)["shards"])) if status == 200 else frozenset()

    async def until_shards(self, count: int, *, within_s: float = START_S) -> None:
        """Wait until it has that many shards, and is ready."""
        shards: frozenset[int] = frozenset()
        try:
            async with asyncio.timeout(within_s):
                while len(shards := await self.shards()) != count:  # noqa: ASYNC110 - a page
                    await asyncio.sleep(0.05)
        except TimeoutError:
            message = f"{shards} and not {count} shards within {within_s} s: {self.text[-3000:]}"
            raise AssertionError(message) from None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        if self._follower is not None:
            self._follower.worker = None
        self._process.send_signal(number)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit code."""
        self.send(number)
        return await self.ended()

    async def ended(self, *, within_s: float = STOP_S) -> int:
        """Wait for its end, and return its exit code (negative: the signal that ended it)."""
        assert self._process is not None
        try:
            async with asyncio.timeout(within_s):
                code = await self._process.wait()
        except TimeoutError:
            message = f"it did not end within {within_s} s: {self.text[-3000:]}"
            raise AssertionError(message) from None
        await asyncio.gather(*self._reading)
        return code

    async def kill(self) -> None:
        """End it with SIGKILL. Harmless when it has ended."""
        if self.is_running:
            self.send(signal.SIGKILL)
            await self.ended()

    async def _keep(self, stream: asyncio.StreamReader | None, into: list[str]) -> None:
        assert stream is not None
        async for line in stream:
            async with self._news:
                into.append(line.decode(errors="replace").rstrip("\n"))
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()
