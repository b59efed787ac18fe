"""Three Kafka brokers on loopback that replicate to each other: to be killed and restarted.

What a single broker cannot show: a leader that is lost while its partitions go on elsewhere. Static
voters on ports that are chosen beforehand, since each has to know the others before it starts.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Self

import confluent_kafka
from confluent_kafka.admin import AdminClient

from streamer.broker.folder import DataFolder
from streamer.broker.jars import ensure_kafka
from streamer.broker.java import JavaProcess, java_command
from streamer.broker.launch import start_kafka, wait_until_ready
from streamer.broker.properties import render_properties, server_properties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from confluent_kafka.admin._metadata import ClusterMetadata

NODES: Final = 3

READY_S: Final = 60.0
"""From the start of all to the moment when each is in the metadata; 3 s where nothing else runs."""

_CLUSTER_ID: Final = "MkU3OEVBNTcwNTJENDM2Qk"

_PROPERTIES: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "unclean.leader.election.enable": "false",
    # Failover in seconds.
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.election.backoff.max.ms": "200",
    "replica.lag.time.max.ms": "5000",
    "broker.session.timeout.ms": "3000",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}


class Node:
    """One broker of the cluster.

    Attributes:
        port: Where clients connect.
    """

    def __init__(self, path: Path, number: int, port: int, controllers: Sequence[int]) -> None:
        self.port: Final = port
        voters = [f"{each}@127.0.0.1:{at}" for each, at in enumerate(controllers, start=1)]
        self._folder = DataFolder(path)
        self._process: JavaProcess | None = None
        self._properties = server_properties(
            log_folder=self._folder.log_folder, port=port, extra=_PROPERTIES
        )
        self._properties |= {
            "node.id": str(number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"PLAINTEXT://127.0.0.1:{port},"
            f"CONTROLLER://127.0.0.1:{controllers[number - 1]}",
        }
        del self._properties["controller.quorum.bootstrap.servers"]

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    async def format(self, jars: Sequence[Path]) -> None:
        """Make its folder one of the cluster."""
        self._folder.acquire()
        self._folder.prepare_start()
        self._folder.properties_path.write_text(render_properties(self._properties), "ascii")
        command = java_command(
            jars,
            self._folder.temporary_folder,
            "kafka.tools.StorageTool",
            *("format", "-t", _CLUSTER_ID, "-c", str(self._folder.properties_path)),
        )
        formatting = JavaProcess(
            command, output=self._folder.output_path, folder=self._folder.path, environment={}
        )
        try:
            assert await formatting.wait() == 0, self._folder.output_path.read_text()
        finally:
            formatting.kill()

    async def start(self, jars: Sequence[Path]) -> None:
        """Start it, and return once it answers."""
        self._folder.prepare_start()
        self._process = start_kafka(self._folder, jars, properties=self._properties, environment={})
        await wait_until_ready(self._process, self._folder, port=self.port)

    def kill(self) -> None:
        """End it with SIGKILL; its data stays."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def discard(self) -> None:
        """End it for good, and give its folder up."""
        self.kill()
        self._folder.release()


class Cluster:
    """`async with Cluster(folder) as cluster:`; whatever happens, no broker is left behind.

    Attributes:
        nodes: The three brokers; number 1 is the first.
    """

    def __init__(self, path: Path) -> None:
        ports = _free_ports(2 * NODES)
        self.nodes: Final = [
            Node(path / str(number), number, ports[number - 1], ports[NODES:])
            for number in range(1, NODES + 1)
        ]
        self._jars: list[Path] = []

    @property
    def servers(self) -> str:
        """What clients are given."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    async def __aenter__(self) -> Self:
        self._jars = await ensure_kafka()
        try:
            await asyncio.gather(*(node.format(self._jars) for node in self.nodes))
            await asyncio.gather(*(node.start(self._jars) for node in self.nodes))
            await self.until_brokers(NODES)
        except BaseException:
            self._kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._kill()

    def _kill(self) -> None:
        # In order it takes 5 s: the last ones have no quorum left. The data is thrown away.
        for node in self.nodes:
            node.discard()

    async def start(self, node: Node) -> None:
        """Start a broker that was killed, and return once the others have it back."""
        await node.start(self._jars)
        await self.until_brokers(sum(one.is_running for one in self.nodes))

    def leader(self, topic: str, partition: int) -> Node:
        """The broker that leads a partition now."""
        number = self._metadata().topics[topic].partitions[partition].leader
        return self.nodes[number - 1]

    async def until_brokers(self, count: int) -> None:
        """Wait until so many are in the metadata."""
        async with asyncio.timeout(READY_S):
            while len(await asyncio.to_thread(self._brokers)) != count:
                pass

    async def until_in_sync(self, topic: str, replicas: int) -> None:
        """Wait until each partition of a topic has so many replicas in sync."""
        async with asyncio.timeout(READY_S):
            while await asyncio.to_thread(self._in_sync, topic) != {replicas}:
                pass

    def _brokers(self) -> Mapping[int, object]:
        with suppress(confluent_kafka.KafkaException):
            return dict(self._metadata().brokers)
        return {}

    def _in_sync(self, topic: str) -> set[int]:
        partitions = self._metadata().topics[topic].partitions.values()
        return {len(partition.isrs) for partition in partitions}

    def _metadata(self) -> ClusterMetadata:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0}).list_topics(
            timeout=5
        )


def _free_ports(count: int) -> list[int]:
    """Ports that were free just now, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
