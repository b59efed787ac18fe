"""Stands between a worker and the API, changes nothing, and remembers what was asked for."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Final, Self
from urllib.parse import urlsplit

_REQUEST: Final = re.compile(rb"^([A-Z]+ \S.*) HTTP/1\.[01]\r$", re.MULTILINE)
_CHUNK: Final = 1 << 16


class RequestTap:
    """`async with RequestTap(sandbox.url) as tap:` a worker is given `tap.url`.

    Attributes:
        requests: Method and target of every request so far, as sent.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path
        self._links: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{self._path}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        if self._links:
            await asyncio.wait(self._links)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        with suppress(OSError, asyncio.CancelledError):
            from_api, to_api = await asyncio.open_connection(self._host, self._port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._ask(reader, to_api))
                    both.create_task(_copy(from_api, writer))
            finally:
                to_api.close()
                writer.close()
        self._links.discard(task)

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
