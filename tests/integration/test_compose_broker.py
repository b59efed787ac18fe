"""The Kafka of `docker-compose.yml`, as far as it can be had without an engine.

The image's own set-up is a class in Kafka's jar: it makes the properties of the variables, and
formats. It runs here with the variables of the Compose file, on an address of its own on loopback,
and Kafka on what it made.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from typing import TYPE_CHECKING, Final

import pytest

from streamer.broker.jars import ensure_kafka
from streamer.broker.java import JavaProcess, java_command
from streamer.errors import KafkaUnreachableError
from streamer.kafka.client import Connection
from streamer.kafka.topics import Topics, ensure
from tests.support.container_files import compose
from tests.support.kafka_parts import commit, kafka_settings, outgoing, started, values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streamer.config import KafkaSettings

HEAP: Final = "KAFKA_HEAP_OPTS"
"""The variable that is not one of Kafka's settings."""

SAYS_ITS_SETTINGS: Final = (
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=info"
)


@pytest.mark.usefixtures("_quick_starts")
async def test_kafka_of_the_compose_file_serves_transactions(tmp_path: Path, prefix: str) -> None:
    """Its variables make a broker that has one node, knows each of them, and commits."""
    address = f"127.{random.randint(2, 250)}.{random.randint(2, 250)}.{random.randint(2, 250)}"  # noqa: S311
    variables = _on(address, tmp_path / "data")
    final = tmp_path / "config"
    final.mkdir()
    jars = await ensure_kafka()
    kafka: JavaProcess | None = None
    try:
        set_up = _java(
            jars,
            tmp_path,
            variables,
            "kafka.docker.KafkaDockerWrapper",
            "setup",
            *("--default-configs-dir", str(tmp_path), "--mounted-configs-dir", str(tmp_path)),
            *("--final-configs-dir", str(final)),
        )
        assert await set_up.wait() == 0, (tmp_path / "output").read_text()
        kafka = _java(jars, tmp_path, variables, "kafka.Kafka", str(final / "server.properties"))
        await _topics(kafka_settings(f"{address}:9092", prefix, startup_timeout=5), kafka)
        settings = kafka_settings(f"{address}:19092", prefix, startup_timeout=5)
        topics = await _topics(settings, kafka)
        async with started(Connection(settings), prefix) as producer:
            await commit(producer, {topics.audit.name: outgoing(b"record")})
        assert await values(f"{address}:19092", topics.audit.name) == [b"record"]
    finally:
        if kafka is not None:
            kafka.kill()
    known = set(re.findall(r"^\t([a-z.]+) = ", (tmp_path / "output").read_text(), re.MULTILINE))
    made = set(re.findall(r"^([a-z.]+)=", (final / "server.properties").read_text(), re.MULTILINE))
    assert len(made) == sum(name.startswith("KAFKA_") for name in variables.keys() - {HEAP})
    assert made <= known, made - known


def _on(address: str, data: Path) -> dict[str, str]:
    """The variables of the Compose file, on one address instead of two host names."""
    said: dict[str, str] = compose()["services"]["kafka"]["environment"]
    host = re.compile(r"(?<=//)(kafka|localhost|)(?=:\d)|(?<=@)localhost(?=:\d)")
    moved = {name: host.sub(address, value) for name, value in said.items()}
    return moved | {"KAFKA_LOG_DIRS": str(data)}


def _java(
    jars: Sequence[Path], folder: Path, variables: dict[str, str], main: str, *arguments: str
) -> JavaProcess:
    flags = (SAYS_ITS_SETTINGS, *variables[HEAP].split())
    command = java_command(jars, folder, main, *arguments, flags=flags)
    return JavaProcess(command, output=folder / "output", folder=folder, environment=variables)


async def _topics(settings: KafkaSettings, kafka: JavaProcess) -> Topics:
    """Make the topics once Kafka answers."""
    async with asyncio.timeout(40):
        while kafka.exit_status is None:
            with contextlib.suppress(KafkaUnreachableError):
                return await ensure(Connection(settings), settings)
    message = f"Kafka ended with {kafka.exit_status}"
    raise AssertionError(message)
