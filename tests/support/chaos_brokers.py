"""The brokers that chaos befalls: one of three, or the only one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.broker.local import LocalBroker
    from tests.support.cluster import Cluster


class OneOfThree:
    """A cluster, of which one broker at a time is lost, whoever it leads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @property
    def servers(self) -> str:
        """What clients are given."""
        return self._cluster.servers

    async def kill_one(self, target: float, lasts_s: float) -> None:
        """Kill one of the three, wait, and start it again."""
        node = self._cluster.nodes[int(target * len(self._cluster.nodes))]
        node.kill()
        await asyncio.sleep(lasts_s)
        await self._cluster.start(node)


class TheOnlyOne:
    """A single broker, without which nothing goes on."""

    def __init__(self, broker: LocalBroker) -> None:
        self._broker = broker

    @property
    def servers(self) -> str:
        """What clients are given."""
        return self._broker.bootstrap_servers

    async def kill_one(self, _: float, lasts_s: float) -> None:
        """Kill it, wait, and start it again."""
        self._broker.kill()
        await asyncio.sleep(lasts_s)
        await self._broker.start()
