"""Membership: every shard has one owner, who is told before anybody else gets it."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient
from typing_extensions import override

from streamer.errors import KafkaUnreachableError
from streamer.kafka import group
from streamer.kafka.client import Connection
from streamer.kafka.group import Membership
from tests.support.kafka_group import MemberProcess, Owner, member
from tests.support.kafka_parts import kafka_settings, make_topic, nothing_left

if TYPE_CHECKING:
    from collections.abc import Collection

    from streamer.broker.local import LocalBroker
    from streamer.config import KafkaSettings

ALL = frozenset(range(4))


async def prepared(broker: LocalBroker, prefix: str) -> KafkaSettings:
    """Settings of a group whose checkpoint topic exists."""
    settings = kafka_settings(broker.bootstrap_servers, prefix)
    await make_topic(broker.bootstrap_servers, settings.checkpoint_topic, len(ALL))
    return settings


async def test_shards_are_shared_and_come_back(broker: LocalBroker, prefix: str) -> None:
    """Two members share the shards; whoever stays when the other leaves has all of them."""
    settings = await prepared(broker, prefix)
    first, second = Owner(), Owner()
    async with member(settings, first):
        assert await first.until(bool) == ALL
        async with member(settings, second):
            theirs = await second.until(bool)
            ours = await first.until(lambda mine: 0 < len(mine) < len(ALL))
            assert len(theirs) == len(ours) == 2
            assert theirs | ours == ALL
        await first.until(lambda mine: mine == ALL)


async def test_member_keeps_its_shards_however_long(
    broker: LocalBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member keeps its place beyond the time after which the client takes it for idle."""
    monkeypatch.setattr(group, "IDLE_AT_MOST_S", 1.5)
    settings = await prepared(broker, prefix)
    owner = Owner()
    async with member(settings, owner):
        await owner.until(ALL.__eq__)
        leaving = asyncio.create_task(owner.until(lambda mine: not mine))
        await asyncio.wait({leaving}, timeout=5)
        leaving.cancel()
        assert owner.mine == ALL


async def test_leaving_gives_back_first(broker: LocalBroker, prefix: str) -> None:
    """Another member is told of a shard only after the one that leaves has given it back."""
    settings = await prepared(broker, prefix)
    order: list[str] = []

    class Slow(Owner):
        @override
        async def give_back(self, shards: Collection[int]) -> None:
            order.append("asked back")
            # Time enough for the other one to be told, if anybody told it.
            await asyncio.wait([asyncio.create_task(second.until(ALL.__eq__))], timeout=0.5)
            await super().give_back(shards)
            order.append("given back")

    class Second(Owner):
        @override
        async def take(self, shards: Collection[int]) -> None:
            if shards == ALL:
                order.append("taken over")
            await super().take(shards)

    first, second = Slow(), Second()
    leaving = Membership(Connection(settings), settings, first)
    await leaving.join()
    await first.until(bool)
    async with member(settings, second):
        await second.until(bool)
        await first.until(lambda mine: len(mine) == 2)
        order.clear()
        await leaving.leave()
        await second.until(ALL.__eq__)

    assert order == ["asked back", "given back", "taken over"]


async def test_whoever_is_leaving_takes_nothing_over(broker: LocalBroker, prefix: str) -> None:
    """Of two that leave at the same time, the slower one is not left with the other's shards."""
    settings = await prepared(broker, prefix)

    class Leaving(Owner):
        @override
        async def give_back(self, shards: Collection[int]) -> None:
            await super().give_back(shards)
            if leaving.is_set() and not left.is_set():
                await first.leave()
                left.set()
                # Time enough to be told of what the first one had.
                taken = asyncio.create_task(self.until(bool))
                await asyncio.wait({taken}, timeout=3)
                taken.cancel()

    leaving, left = asyncio.Event(), asyncio.Event()
    owner = Leaving()
    first = Membership(Connection(settings), settings, Owner())
    await first.join()
    async with member(settings, owner):
        await owner.until(bool)
        leaving.set()
    assert left.is_set()
    assert owner.mine == frozenset()


async def test_shard_of_another_member_is_not_mine(broker: LocalBroker, prefix: str) -> None:
    """Each member is told by the coordinator that its own shards are its own, and no others."""
    settings = await prepared(broker, prefix)
    first, second = Owner(), Owner()
    async with member(settings, first) as one, member(settings, second) as two:
        ours = await first.until(lambda mine: len(mine) == 2)
        theirs = await second.until(lambda mine: len(mine) == 2)
        assert ours & theirs == frozenset()
        for shard in ALL:
            assert await one.still_mine(shard) == (shard in ours)
            assert await two.still_mine(shard) == (shard in theirs)


async def test_frozen_member_learns_that_its_shards_went_to_another(
    broker: LocalBroker, prefix: str
) -> None:
    """A member that wakes up after its session is told that nothing is its own any more."""
    settings = await prepared(broker, prefix)
    heir = Owner()
    async with MemberProcess(broker.bootstrap_servers, prefix) as frozen:
        assert await frozen.says("take") == "take [0, 1, 2, 3]"
        frozen.ask(0)
        assert await frozen.says("still mine") == "still mine 0: True"
        os.kill(frozen.pid, signal.SIGSTOP)
        async with member(settings, heir):
            assert await heir.until(bool) == ALL
            for shard in ALL:
                frozen.ask(shard)
            os.kill(frozen.pid, signal.SIGCONT)
            assert await answers_before_a_take(frozen, len(ALL)) == {"False"}


async def test_frozen_member_owns_nothing_before_it_is_told_so_again(
    broker: LocalBroker, prefix: str
) -> None:
    """Nor are they its own if nobody took them: it lost its place, and has to be given it anew."""
    await prepared(broker, prefix)
    async with MemberProcess(broker.bootstrap_servers, prefix) as frozen:
        assert await frozen.says("take") == "take [0, 1, 2, 3]"
        os.kill(frozen.pid, signal.SIGSTOP)
        await group_is_empty(broker.bootstrap_servers, f"{prefix}-streamer")
        for _ in range(20):
            frozen.ask(0)
        os.kill(frozen.pid, signal.SIGCONT)
        assert await answers_before_a_take(frozen, 20) == {"False"}


async def answers_before_a_take(process: MemberProcess, most: int) -> set[str]:
    """What a member answered until it was given shards again."""
    answers: set[str] = set()
    for _ in range(most):
        line = await process.line()
        if line.startswith("take"):
            break
        if line.startswith("still mine"):
            answers.add(line.partition(": ")[2])
    return answers


async def group_is_empty(servers: str, group: str) -> None:
    """Wait until the coordinator has thrown out every member."""
    admin = AdminClient({"bootstrap.servers": servers})

    def members() -> int:
        return len(admin.describe_consumer_groups([group])[group].result().members)

    async with asyncio.timeout(20):
        while await asyncio.to_thread(members):
            pass


@pytest.mark.parametrize("call", ["take", "suspend"])
async def test_owner_that_fails_is_reported(broker: LocalBroker, prefix: str, call: str) -> None:
    """What an owner raises ends up in `failed`, which aiokafka would have swallowed."""
    settings = await prepared(broker, prefix)

    class Failing(Owner):
        @override
        async def take(self, shards: Collection[int]) -> None:
            if call == "take":
                raise ZeroDivisionError
            await super().take(shards)

        @override
        async def suspend(self, shards: Collection[int]) -> None:
            if call == "suspend" and shards and not membership.failed.done():
                raise ZeroDivisionError
            await super().suspend(shards)

    owner = Failing()
    async with member(settings, owner) as membership:
        if call == "suspend":
            await owner.until(bool)
            async with member(settings, Owner()):
                await fails(membership)
        else:
            await fails(membership)


async def fails(membership: Membership) -> None:
    """Expect what the owner raised."""
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(20):
            await membership.failed


async def test_group_without_a_broker_is_refused_in_time_and_leaves_nothing(prefix: str) -> None:
    """Joining where no broker listens says so in words; after leaving, nothing is left."""
    settings = kafka_settings("127.0.0.1:1", prefix, startup_timeout=1)
    before = asyncio.all_tasks()
    membership = Membership(Connection(settings), settings, Owner())
    with pytest.raises(KafkaUnreachableError, match=r"joining the consumer group failed: .*127\.0"):
        await membership.join()
    await membership.leave()
    del membership
    await nothing_left(before)
