"""`streamer broker` as a process: what it prints, how it ends, and what its death leaves."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streamer.broker.local import LocalBroker
from streamer.broker.progress import Stage
from streamer.broker.ready import names_a_broker

RUN = """
from streamer.cli import main
main()
"""

WITHOUT_NETWORK = """
import sys
def refuse(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise PermissionError(f"looked up {arguments[0]}")
    if event == "socket.connect" and arguments[1][0] != "127.0.0.1":
        raise PermissionError(f"connected to {arguments[1]}")
    if event == "import" and arguments[0].partition(".")[0] in ("jgo", "requests", "urllib3"):
        raise PermissionError(f"imported {arguments[0]}")
sys.addaudithook(refuse)
"""
"""Any use of the network beyond loopback, and any import that is there for one, is an error."""

WITHOUT_DEATH_SIGNAL = """
import asyncio, sys
import streamer.commands.broker
sys.platform = "freebsd14"
"""
"""As on a system that cannot tie a process to its parent."""

StartCommand = Callable[..., Awaitable[asyncio.subprocess.Process]]
ProcessesOn = Callable[[Path], list[str]]


@pytest.fixture
async def start_command(processes_on: ProcessesOn, tmp_path: Path) -> AsyncIterator[StartCommand]:
    """Starts `streamer broker` in a process group of its own, with its data in `tmp_path`."""
    commands: list[asyncio.subprocess.Process] = []

    async def start(
        data: str = "data", *, port: int = 0, preamble: str = ""
    ) -> asyncio.subprocess.Process:
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", preamble + RUN, "broker"),
            *("--data", str(tmp_path / data), "--port", str(port)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        commands.append(command)
        return command

    yield start
    for command in commands:
        with suppress(ProcessLookupError):
            command.kill()
        await command.communicate()
    for java in processes_on(tmp_path):
        os.kill(int(java.split()[0]), signal.SIGKILL)


async def port_of(command: asyncio.subprocess.Process) -> int:
    """The port that the command prints once its broker answers."""
    assert command.stdout is not None
    line = (await command.stdout.readline()).decode()
    found = re.fullmatch(r"export STREAMER_KAFKA__BOOTSTRAP_SERVERS=127\.0\.0\.1:(\d+)\n", line)
    assert found is not None, line + (await command.communicate())[1].decode()
    return int(found[1])


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does, and insist on it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 (it cannot tell us)
                await asyncio.sleep(0.02)
    assert condition()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_stops_the_broker_in_order(
    start_command: StartCommand, processes_on: ProcessesOn, tmp_path: Path, number: signal.Signals
) -> None:
    """Told to stop, also by Ctrl-C to the whole group, it exits with 0 and leaves no process."""
    command = await start_command()
    assert await names_a_broker(await port_of(command))
    (java,) = processes_on(tmp_path)
    assert os.getsid(int(java.split()[0])) != os.getsid(command.pid)

    os.killpg(command.pid, number)
    output, errors = await command.communicate()

    assert command.returncode == 0, errors.decode()
    assert output == b""  # the export line was all
    assert "Traceback" not in errors.decode()
    assert processes_on(tmp_path) == []


async def test_signal_during_the_start_stops_it_too(
    start_command: StartCommand, processes_on: ProcessesOn, tmp_path: Path
) -> None:
    """Whoever changes their mind before the broker answers waits for nothing."""
    command = await start_command()
    assert command.stderr is not None
    async with asyncio.timeout(15):
        while await command.stderr.readline() != b"Starting Apache Kafka\n":
            pass

    command.terminate()
    output, errors = await command.communicate()

    assert (command.returncode, output) == (0, b""), errors.decode()
    assert processes_on(tmp_path) == []


async def test_killed_command_takes_kafka_along_and_the_next_start_has_its_data(
    start_command: StartCommand, processes_on: ProcessesOn, tmp_path: Path
) -> None:
    """After a `kill -9` no process is left, and the next start finds the topics of the last."""
    command = await start_command()
    port = await port_of(command)
    make_topic(port, "kept")

    command.kill()
    await command.wait()
    await until(lambda: not processes_on(tmp_path))
    again = await start_command(port=port)

    assert await port_of(again) == port
    assert "kept" in topics(port)


async def test_kafka_that_outlived_a_killed_command_is_stopped_by_the_next_start(
    start_command: StartCommand, processes_on: ProcessesOn, tmp_path: Path
) -> None:
    """Where a system lets Kafka live on, the next start says so, ends it, and has its data."""
    command = await start_command(preamble=WITHOUT_DEATH_SIGNAL)
    port = await port_of(command)
    make_topic(port, "kept")
    (java,) = processes_on(tmp_path)
    command.kill()
    await command.wait()
    assert processes_on(tmp_path) == [java]
    stages: list[Stage] = []

    async with LocalBroker(
        tmp_path / "data", port=port, on_progress=lambda progress: stages.append(progress.stage)
    ):
        assert stages[0] is Stage.STOPPING_LEFTOVER
        assert java not in processes_on(tmp_path)
        assert "kept" in topics(port)


async def test_second_command_on_the_folder_or_port_exits_with_2(
    start_command: StartCommand, tmp_path: Path
) -> None:
    """A folder or a port in use ends the command at once, with one sentence and exit code 2."""
    port = await port_of(await start_command("data"))
    folder_taken = await start_command("data")
    port_taken = await start_command("other", port=port)

    for command, sentence in (
        (folder_taken, f"data folder {tmp_path / 'data'}: in use by another broker"),
        (port_taken, f"port {port} of 127.0.0.1"),
    ):
        output, errors = await command.communicate()
        assert (command.returncode, output) == (2, b"")
        assert errors.decode().startswith(f"streamer: {sentence}")
        assert errors.count(b"\n") == 1


async def test_start_with_a_full_cache_touches_no_network(start_command: StartCommand) -> None:
    """Once everything is fetched, a start neither looks up a name nor leaves loopback."""
    command = await start_command(preamble=WITHOUT_NETWORK)

    assert await names_a_broker(await port_of(command))


def make_topic(port: int, topic: str) -> None:
    """Create a topic, by a client that is not ours."""
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)


def topics(port: int) -> set[str]:
    """The names of the topics that a broker has."""
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"})
    return set(admin.list_topics(timeout=10).topics)
