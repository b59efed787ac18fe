"""Stands between clients and a server, and ends every connection when it is left."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter


class Relay(ABC):
    """One connection to the server for each one of a client; what passes is a subclass's matter."""

    def __init__(self, host: str | None, port: int | None) -> None:
        self._host = host
        self._port = port
        self._links: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        if self._links:
            await asyncio.wait(self._links)
        await self._server.wait_closed()

    async def _listen(self, *where: Any, **how: Any) -> None:  # noqa: ANN401 (as start_server)
        self._server = await asyncio.start_server(self._serve, *where, **how)

    async def _serve(self, client: StreamReader, to_client: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        # The stream's own callback would report a cancelled handler as an error.
        with suppress(OSError, asyncio.CancelledError):
            try:
                there, to_there = await asyncio.open_connection(self._host, self._port)
                try:
                    await self._pass_on(client, to_client, there, to_there)
                finally:
                    to_there.close()
            finally:
                self._links.discard(task)
                to_client.close()

    @abstractmethod
    async def _pass_on(
        self,
        client: StreamReader,
        to_client: StreamWriter,
        there: StreamReader,
        to_there: StreamWriter,
    ) -> None:
        """Forward both ways until either end is gone."""
