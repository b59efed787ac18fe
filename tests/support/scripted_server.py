"""An HTTP server on loopback that does exactly what a test tells it, also to the connection.

Written on bare sockets, because a proper server refuses to misbehave: it would not cut a body off,
reset a connection, or announce another length than it sends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from types import TracebackType

DATE = "Mon, 23 Nov 2026 20:46:05 GMT"


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, unquoted."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        """The query's members."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def token(self) -> str:
        """The bearer token."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


Act = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What the server does with a connection on which a request has come."""

Script = Callable[[Asked], Act]


def answer(
    body: bytes | object = b"",
    *,
    status: int = 200,
    announced: int | None = None,
    **headers: str,
) -> Act:
    """Answer; anything but bytes as JSON. `announced` is the length that the header tells."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Date": DATE}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines["Content-Length"] = str(len(sent) if announced is None else announced)

    async def act(writer: asyncio.StreamWriter) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + sent)
        await writer.drain()
        if announced is not None and announced != len(sent):
            writer.close()

    return act


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await writer.wait_closed()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection."""
    writer.transport.abort()


def half(body: bytes, *, then: Act) -> Act:
    """Send the headers and half a body, then do something else."""

    async def act(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 X\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[: len(body) // 2])
        await writer.drain()
        await then(writer)

    return act


def late(body: bytes, *, status: int) -> Act:
    """Send the headers, let everybody run, and only then send the body."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        await writer.drain()
        for _ in range(50):
            await asyncio.sleep(0)
        writer.write(body)
        await writer.drain()

    return act


def endless(piece: bytes) -> Act:
    """Send a body that never ends."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)  # `drain` alone lets nobody else run.

    return act


def streamed(head: bytes, pieces: Iterable[bytes]) -> Act:
    """Send a body in pieces, without announcing its length."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for piece in chain((head,), pieces, (b"",)):
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)  # `drain` alone lets nobody else run.

    return act


@dataclass
class ScriptedServer:
    """The server; use as an async context manager.

    Attributes:
        script: Decides what to do with each request.
        asked: All requests that came.
        connections: How many connections were opened.
        arrived: Set when a request has come.
    """

    script: Script
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    asked = await self._read(reader)
                    self.asked.append(asked)
                    self.arrived.set()
                    await self.script(asked)(writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Asked:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        fields = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Asked(method, target, headers, body)
