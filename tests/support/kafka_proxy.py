"""A TCP proxy between Kafka's clients and a broker, which can catch a single request on its way.

It reads of the protocol a frame's length, the request's API key and its correlation id, and no
more. One connection carries one request behind the other, so that what is held holds up whatever
follows on the same connection, as a slow network would.

Source: the Kafka protocol guide, "Request Header" and "Response Header".
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from enum import Enum, IntEnum, auto
from typing import Final, Self

_LENGTH: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">hhi")
"""API key, API version, correlation id: how every request begins."""


class Api(IntEnum):
    """The requests that tests name; any other number is forwarded just the same."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    END_TXN = 26
    DESCRIBE_CONFIGS = 32


class Fault(Enum):
    """What becomes of a request that is caught.

    HOLD: it waits until it is released, and reaches the broker even if its client has gone by then.
    LOSE_REQUEST: the connection ends instead; the broker never sees the request.
    LOSE_ANSWER: the broker gets it; the connection ends instead of the answer.
    """

    HOLD = auto()
    LOSE_REQUEST = auto()
    LOSE_ANSWER = auto()


class Catch:
    """One request to be caught: awaited by the test, released by the test.

    Attributes:
        fault: What becomes of it.
        caught: Set once the request has arrived.
        answered: Set once the broker has answered it, or never will.
    """

    def __init__(self, api: int, fault: Fault, after: int, naming: bytes) -> None:
        self.caught: Final = asyncio.Event()
        self.answered: Final = asyncio.Event()
        self._api = api
        self.fault: Final = fault
        self._after = after
        self._naming = naming
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let a held request go on to the broker."""
        self._released.set()

    def _takes(self, api: int, frame: bytes) -> bool:
        if api != self._api or self.caught.is_set() or self._naming not in frame:
            return False
        self._after -= 1
        return self._after < 0


class KafkaProxy:
    """Use as an asynchronous context manager; clients connect to `servers`.

    Attributes:
        servers: What clients are given.
        seen: How many requests of each API key have come by.
    """

    def __init__(self, listener: socket.socket, broker_port: int) -> None:
        """Make a proxy on a socket that listens already.

        Args:
            listener: Stays open; the broker advertises its port, so that it outlives the proxy.
            broker_port: Where the broker listens on 127.0.0.1.
        """
        self.servers: Final = f"127.0.0.1:{listener.getsockname()[1]}"
        self.seen: Final[Counter[int]] = Counter()
        self._listener = listener
        self._broker_port = broker_port
        self._catches: list[Catch] = []
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, sock=self._listener.dup())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        if self._links:
            await asyncio.wait(self._links)
        await self._server.wait_closed()

    def catch(self, api: int, fault: Fault, *, after: int = 0, naming: bytes = b"") -> Catch:
        """Catch one request of this kind.

        Args:
            api: Its number.
            fault: What becomes of it.
            after: How many others of the kind pass before.
            naming: Those only that hold these bytes: a transactional id, the name of a topic.
        """
        caught = Catch(api, fault, after, naming)
        self._catches.append(caught)
        return caught

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        to_broker: asyncio.StreamWriter | None = None
        # The stream's own callback would report a cancelled handler as an error.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                broker, to_broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
                await _Link(self, client, to_client, broker, to_broker).run()
            finally:
                self._links.discard(task)
                for writer in (to_client, to_broker):
                    if writer is not None:
                        writer.close()

    def _caught(self, api: int, frame: bytes) -> Catch | None:
        self.seen[api] += 1
        return next((catch for catch in self._catches if catch._takes(api, frame)), None)


class _Link:
    """One client's connection, and the one to the broker that belongs to it."""

    def __init__(
        self,
        proxy: KafkaProxy,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        broker: asyncio.StreamReader,
        to_broker: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._to_client = to_client
        self._broker = broker
        self._to_broker = to_broker
        self._open: dict[int, Catch] = {}

    async def run(self) -> None:
        """Forward both ways until either end is gone."""
        answers = asyncio.create_task(self._forward_answers(), name="answers")
        try:
            await self._forward_requests()
        finally:
            answers.cancel()
            await asyncio.wait([answers])

    async def _forward_requests(self) -> None:
        while (frame := await _frame(self._client)) is not None:
            api, _, correlation = _REQUEST.unpack_from(frame, _LENGTH.size)
            catch = self._proxy._caught(api, frame)
            if catch is not None:
                self._open[correlation] = catch
                catch.caught.set()
                if catch.fault is Fault.LOSE_REQUEST:
                    return
                if catch.fault is Fault.HOLD:
                    await catch._released.wait()
            self._to_broker.write(frame)
            await self._to_broker.drain()
            if catch is not None:
                # Its client may be gone by now; the broker is to see it all the same.
                await catch.answered.wait()

    async def _forward_answers(self) -> None:
        try:
            while (frame := await _frame(self._broker)) is not None:
                (correlation,) = _LENGTH.unpack_from(frame, _LENGTH.size)
                catch = self._open.pop(correlation, None)
                if catch is not None:
                    catch.answered.set()
                    if catch.fault is Fault.LOSE_ANSWER:
                        return
                self._to_client.write(frame)
                with contextlib.suppress(OSError):
                    await self._to_client.drain()
        finally:
            self._to_client.close()
            for catch in self._open.values():
                catch.answered.set()


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next request or answer with its length before it; None at the end."""
    try:
        length = await reader.readexactly(_LENGTH.size)
        return length + await reader.readexactly(_LENGTH.unpack(length)[0])
    except (asyncio.IncompleteReadError, OSError):
        return None


def listening_socket() -> socket.socket:
    """A socket for a proxy, on a port that the system chose."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def behind_proxy(listener: socket.socket) -> dict[str, str]:
    """Properties of a broker that sends its clients to a proxy, and speaks to itself past it."""
    port = listener.getsockname()[1]
    return {
        "listeners": "PLAINTEXT://127.0.0.1:0,INTERNAL://127.0.0.1:0,CONTROLLER://127.0.0.1:0",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},INTERNAL://127.0.0.1:0",
        "inter.broker.listener.name": "INTERNAL",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
        "INTERNAL:PLAINTEXT",
    }
