"""From a locked folder and verified jars to a Kafka that answers, step by step.

Nothing here cleans up behind a failure: `local.py` holds the process and does.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import socket
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from streamer.broker.java import JavaProcess, java_command
from streamer.broker.properties import render_properties, server_properties
from streamer.broker.ready import names_a_broker
from streamer.errors import BrokerStartError, PortInUseError, StreamerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from streamer.broker.folder import DataFolder

_START_TIMEOUT_S: Final = 45.0
"""From starting Java to the first answer. It takes 1 s; a loaded machine may need many."""

_POLL_S: Final = 0.02

_LISTENING: Final = re.compile(rb"Awaiting socket connections on 127\.0\.0\.1:(\d+)\.")


def check_port(port: int) -> None:
    """Try a port before Kafka does, whose own complaint comes after a second and in many lines.

    Raises:
        PortInUseError: It is taken, or not ours to take.
    """
    with socket.socket() as probe:
        # As Java does: what a stopped broker left in TIME_WAIT does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            raise _port_in_use(port, error.strerror or "it is taken") from error


async def format_folder(folder: DataFolder, jars: Sequence[Path]) -> None:
    """Give a new folder its cluster id and metadata, completely or not at all.

    Raises:
        BrokerStartError: Kafka's own tool refused.
        OSError: The folder cannot be written to.
    """
    shutil.rmtree(folder.new_log_folder, ignore_errors=True)
    properties = server_properties(log_folder=folder.new_log_folder, port=0)
    folder.properties_path.write_text(render_properties(properties), "ascii")
    command = java_command(
        jars,
        folder.temporary_folder,
        "kafka.tools.StorageTool",
        *("format", "--standalone", "-t", _new_cluster_id(), "-c", str(folder.properties_path)),
    )
    process = JavaProcess(command, output=folder.output_path, folder=folder.path, environment={})
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            status = await process.wait()
    except TimeoutError:
        status = None
    finally:
        process.kill()
    if status != 0:
        raise _not_started(folder, "Kafka could not format it")
    folder.new_log_folder.rename(folder.log_folder)


def start_kafka(
    folder: DataFolder,
    jars: Sequence[Path],
    *,
    properties: Mapping[str, str],
    environment: Mapping[str, str],
    flags: Sequence[str] = (),
) -> JavaProcess:
    """Start Kafka on a formatted folder. It does not answer yet.

    Args:
        folder: Locked by the caller.
        jars: Kafka's files.
        properties: All of the broker's, from `server_properties`.
        environment: Variables for Java in addition to our own.
        flags: Options for Java in addition to ours.

    Raises:
        OSError: The folder cannot be written to.
    """
    folder.properties_path.write_text(render_properties(properties), "ascii")
    command = java_command(
        jars, folder.temporary_folder, "kafka.Kafka", str(folder.properties_path), flags=flags
    )
    return JavaProcess(
        command, output=folder.output_path, folder=folder.path, environment=environment
    )


async def wait_until_ready(process: JavaProcess, folder: DataFolder, *, port: int) -> int:
    """Wait until Kafka answers, and return the port on which it does.

    Args:
        process: From `start_kafka`.
        folder: What it was started on.
        port: The one it was told, for the message if that one is taken; 0 if it was to choose.

    Raises:
        PortInUseError: Another process was quicker to take the port.
        BrokerStartError: It ended, or did not answer in time.
    """
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            while process.exit_status is None:
                listening_on = _announced_port(folder.output_path)
                if listening_on is not None and await names_a_broker(listening_on):
                    return listening_on
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise _not_started(folder, f"did not answer within {_START_TIMEOUT_S:.0f} s") from None
    raise end_explained(folder, process.exit_status, port=port)


def end_explained(folder: DataFolder, status: int | None, *, port: int) -> StreamerError:
    """Why a Kafka ended that nobody stopped, as far as its last words tell."""
    if b"Address already in use" in _output(folder.output_path):
        return _port_in_use(port, "it is taken")
    return _not_started(folder, f"Kafka ended by itself (exit status {status})")


def _announced_port(output_path: Path) -> int | None:
    """The port of the first listener for clients: the controller's own is announced before it."""
    ports = _LISTENING.findall(_output(output_path))
    return int(ports[1]) if len(ports) > 1 else None


def _output(path: Path) -> bytes:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return b""


def _new_cluster_id() -> str:
    """A random id as Kafka writes them; a leading dash would be taken for an option."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return text if text[0] != "-" else f"k{text[1:]}"


def _not_started(folder: DataFolder, what: str) -> BrokerStartError:
    return BrokerStartError(
        where=f"local broker on {folder.path}",
        what=what,
        next_step=f"What it said is in {folder.output_path}",
    )


def _port_in_use(port: int, reason: str) -> PortInUseError:
    return PortInUseError(
        where=f"port {port} of 127.0.0.1",
        what=f"the broker cannot listen there: {reason}",
        next_step="Stop what listens there, or choose another port with --port.",
    )
