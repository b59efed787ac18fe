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

from typing_extensions import override

from tests.support.relay import Relay

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
        self._to_client: asyncio.StreamWriter | None = None

    def release(self) -> None:
        """Let a held request go on to the broker."""
        self._released.set()

    def hang_up(self) -> None:
        """End the connection that a held request came by; it still reaches the broker later."""
        assert self._to_client is not None
        self._to_client.close()

    def _takes(self, api: int, frame: bytes) -> bool:
        if api != self._api or self.caught.is_set() or self._naming not in frame:
            return False
        self._after -= 1
        return self._after < 0


class KafkaProxy(Relay):
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
        super().__init__("127.0.0.1", broker_port)
        self.servers: Final = f"127.0.0.1:{listener.getsockname()[1]}"
        self.seen: Final[Counter[int]] = Counter()
        self._listener = listener
        self._catches: list[Catch] = []

    async def __aenter__(self) -> Self:
        await self._listen(sock=self._listener.dup())
        return self

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

    @override
    async def _pass_on(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        to_there: asyncio.StreamWriter,
    ) -> None:
        await _Link(self, client, to_client, there, to_there).run()

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
        while (request := await frame(self._client)) is not None:
            api, _, correlation = _REQUEST.unpack_from(request, _LENGTH.size)
            catch = self._proxy._caught(api, request)
            if catch is not None:
                self._open[correlation] = catch
                catch._to_client = self._to_client
                catch.caught.set()
                if catch.fault is Fault.LOSE_REQUEST:
                    return
                if catch.fault is Fault.HOLD:
                    await catch._released.wait()
            self._to_broker.write(request)
            await self._to_broker.drain()
            if catch is not None:
                # Its client may be gone by now; the broker is to see it all the same.
                await catch.answered.wait()

    async def _forward_answers(self) -> None:
        try:
            while (answer := await frame(self._broker)) is not None:
                (correlation,) = _LENGTH.unpack_from(answer, _LENGTH.size)
                catch = self._open.pop(correlation, None)
                if catch is not None:
                    catch.answered.set()
                    if catch.fault is Fault.LOSE_ANSWER:
                        return
                self._to_client.write(answer)
                with contextlib.suppress(OSError):
                    await self._to_client.drain()
        finally:
            self._to_client.close()
            for catch in self._open.values():
                catch.answered.set()


async def frame(reader: asyncio.StreamReader) -> bytes | None:
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
