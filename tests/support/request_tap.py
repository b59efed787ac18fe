"""Stands between a worker and the API, changes nothing, and remembers what was asked for."""

from __future__ import annotations

import asyncio
import re
from typing import Final, Self
from urllib.parse import urlsplit

from typing_extensions import override

from tests.support.relay import Relay

_REQUEST: Final = re.compile(rb"^([A-Z]+ \S.*) HTTP/1\.[01]\r$", re.MULTILINE)
_CHUNK: Final = 1 << 16


class RequestTap(Relay):
    """`async with RequestTap(sandbox.url) as tap:` a worker is given `tap.url`.

    Attributes:
        requests: Method and target of every request so far, as sent.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        super().__init__(parts.hostname, parts.port)
        self._path = parts.path
        self.requests: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        await self._listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"
        return self

    @override
    async def _pass_on(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        to_there: asyncio.StreamWriter,
    ) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._ask(client, to_there))
            both.create_task(_copy(there, to_client))

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            self.requests += [line.decode("latin-1") for line in _REQUEST.findall(chunk)]
            writer.write(chunk)
            await writer.drain()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    writer.close()
