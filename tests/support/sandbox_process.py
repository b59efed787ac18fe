"""A sandbox in a process of its own, so that it takes no time from the loop of what is tested."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType

START_S: Final = 30.0

_PROGRAM: Final = """
import asyncio, json, sys
from streamer.commands.sandbox import serve
from streamer.sandbox.options import SandboxOptions
sys.exit(asyncio.run(serve(SandboxOptions.from_json(json.loads(sys.argv[1])))))
"""


class SandboxProcess:
    """`async with SandboxProcess(events=…, rate=…) as sandbox:`; options as `SandboxOptions`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as SandboxOptions
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """The process, for whoever measures it."""
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, once it has ended."""
        assert self._process is not None
        return self._process.returncode

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that `streamer run` needs to read it."""
        return {
            "STREAMER_FLATFILE__API_URL": self.url,
            "STREAMER_FLATFILE__CLIENT_ID": self._options.get("client_id", "sandbox"),
            "STREAMER_FLATFILE__SECRET": self._options.get("secret", "sandbox"),
        }

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            json.dumps(self._options),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START_S)
        self.url = line.decode().strip().partition("=")[2]
        assert self.url.startswith("http://127.0.0.1:"), f"the sandbox did not start: {line!r}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._session is not None
        await self._session.close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.communicate(), 10)
        except TimeoutError:
            self._process.kill()
            await self._process.communicate()

    async def emit(self, environment: str, topic: str | None = None, **how: Any) -> list[str]:  # noqa: ANN401 - JSON
        """Let events happen: `count`, `visible_in_s`, `raw`, `event={member: value}`."""
        body = {"environment": environment, "topic": topic, **how}
        return list((await self.post("emit", body))["ids"])

    async def emit_everywhere(self, **how: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - JSON
        """Let something happen in every environment, and return environments with the ids.

        What happened before is older: whoever has published these has published all.
        """
        return [
            (environment, event_id)
            for environment in await self.environments()
            for event_id in await self.emit(environment, **how)
        ]

    async def settings(self, **options: Any) -> None:  # noqa: ANN401 - as SandboxOptions
        """Change options while it runs."""
        await self.post("settings", options)

    async def account(self) -> dict[str, Any]:
        """Return everything that exists."""
        return dict(json.loads(await self._get("account")))

    async def environments(self) -> dict[str, str]:
        """Return the names of all environments by id."""
        return {one["id"]: one["name"] for one in (await self.account())["environments"]}

    async def ledger(self) -> list[dict[str, Any]]:
        """Return what was shown so far."""
        return [json.loads(line) for line in (await self._get("ledger")).splitlines()]

    async def post(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Call a control endpoint; a refusal fails the test."""
        assert self._session is not None
        url = self.url.replace("/v1", f"/_sandbox/{name}")
        async with self._session.post(url, json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return dict(answer)

    async def _get(self, name: str) -> bytes:
        assert self._session is not None
        async with self._session.get(self.url.replace("/v1", f"/_sandbox/{name}")) as response:
            assert response.status == 200
            return await response.read()
