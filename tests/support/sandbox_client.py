"""A client of the sandbox that knows nothing but HTTP, and a sandbox in the test's own loop."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PAIR = {"clientId": "sandbox", "secret": "sandbox"}


class Reader:
    """A client that knows nothing but HTTP."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.token = ""

    async def log_in(self, **extra: str) -> dict[str, Any]:
        """Exchange the key pair for a token."""
        async with self.session.post(f"{self.sandbox.url}/auth", json=PAIR | extra) as response:
            answer: dict[str, Any] = await response.json()
            self.token = (answer.get("data") or answer)["accessToken"]
            return answer

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        """Return the status and the JSON of an answer."""
        headers = {"Authorization": f"Bearer {self.token}", "X-Disable-Hooks": "true"}
        url = f"{self.sandbox.url}/{path}"
        async with self.session.get(url, params=query, headers=headers) as response:
            return response.status, await response.json()

    async def rows(self, path: str, **query: Any) -> list[Any]:  # noqa: ANN401 - JSON
        """Return the rows of one page."""
        status, answer = await self.get(path, **query)
        assert status == 200, answer
        return list(answer["data"])


@asynccontextmanager
async def reading(
    clock: Callable[[], float] | None = None,
    **options: Any,  # noqa: ANN401 - as in JSON
) -> AsyncIterator[Reader]:
    """Start a sandbox in this loop, and log in."""
    sandbox = Sandbox(SandboxOptions.from_json(options), clock=clock)
    await sandbox.start()
    try:
        async with aiohttp.ClientSession() as session:
            reader = Reader(sandbox, session)
            await reader.log_in()
            yield reader
    finally:
        await sandbox.stop()
