"""A member of the consumer group: an owner that writes down what it is told, and a whole process.

As a program (`python -m tests.support.kafka_group SERVERS PREFIX`) it joins, prints what it is told
and takes questions from its standard input, so that a test can freeze it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Final, Self

from streamer.kafka.client import Connection
from streamer.kafka.group import Membership
from tests.support.kafka_parts import kafka_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from streamer.config import KafkaSettings

WITHIN_S: Final = 20.0


class Owner:
    """Writes down which shards it has.

    Attributes:
        mine: The shards it has.
        told: What it was told, in order.
    """

    def __init__(self, on_told: Callable[[str], None] = lambda _: None) -> None:
        self.mine: frozenset[int] = frozenset()
        self.told: list[tuple[str, frozenset[int]]] = []
        self._on_told = on_told
        self._changed = asyncio.Condition()

    async def take(self, shards: Collection[int]) -> None:
        """Have these."""
        await self._write("take", frozenset(shards), frozenset(shards))

    async def suspend(self, shards: Collection[int]) -> None:
        """Have none for the time being."""
        await self._write("suspend", frozenset(shards), frozenset())

    async def give_back(self, shards: Collection[int]) -> None:
        """Have none."""
        await self._write("give_back", frozenset(shards), frozenset())

    async def until(self, has: Callable[[frozenset[int]], bool]) -> frozenset[int]:
        """Wait until it has such shards."""
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: has(self.mine))
        return self.mine

    async def _write(self, word: str, shards: frozenset[int], mine: frozenset[int]) -> None:
        async with self._changed:
            self.told.append((word, shards))
            self.mine = mine
            self._on_told(f"{word} {sorted(shards)}")
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def member(settings: KafkaSettings, owner: Owner) -> AsyncIterator[Membership]:
    """A member of the group, which leaves at the end."""
    membership = Membership(Connection(settings), settings, owner)
    try:
        await membership.join()
        yield membership
    finally:
        await membership.leave()


class MemberProcess:
    """A member in a process of its own: its pid can be stopped and continued."""

    def __init__(self, servers: str, prefix: str) -> None:
        self._arguments = (servers, prefix)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.kafka_group",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.kill()
        await self._process.communicate()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def ask(self, shard: int) -> None:
        """Ask whether the shard is still its own; the answer is a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % shard)

    async def line(self) -> str:
        """The next thing that it says."""
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            line = await self._process.stdout.readline()
        assert line, "the member ended"
        return line.decode().strip()

    async def says(self, word: str) -> str:
        """The next thing that it says which begins so."""
        while not (line := await self.line()).startswith(word):
            pass
        return line


async def _answer(servers: str, prefix: str) -> None:
    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    settings = kafka_settings(servers, prefix)
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(questions), sys.stdin
    )
    async with member(settings, Owner(say)) as membership:
        while question := await questions.readline():
            shard = int(question)
            say(f"still mine {shard}: {await membership.still_mine(shard)}")


if __name__ == "__main__":
    asyncio.run(_answer(*sys.argv[1:]))
