"""One local broker: a folder, a port, and an Apache Kafka that is started, stopped and killed.

For the `broker` and `demo` commands, and for the tests, which need it to die in every way. It
belongs to no event loop: start and stop it from whichever one is at hand.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import structlog

from streamer.broker.extra import java_binary
from streamer.broker.folder import DataFolder
from streamer.broker.jars import ensure_kafka
from streamer.broker.launch import (
    check_port,
    end_explained,
    format_folder,
    start_kafka,
    wait_until_ready,
)
from streamer.broker.leftover import is_broker_on, stop_leftover
from streamer.broker.progress import Progress, ProgressListener, Stage, ignore_progress
from streamer.broker.properties import server_properties
from streamer.errors import BrokerStartError, DataFolderError, StreamerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from streamer.broker.java import JavaProcess

STOP_TIMEOUT_S: Final = 10.0
"""From SIGTERM to SIGKILL. It takes 0.3 s, and a kill loses nothing that was committed."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class LocalBroker:
    """A broker on 127.0.0.1 with its data in a folder, which it has to itself while it runs.

    Attributes:
        data: The folder; made if it is missing, kept when the broker stops.
        port: Where clients connect. 0: the system chooses at the first start, and later starts
            of this object keep that port.
        cache: Folder for Kafka's files. None: the user's.
        properties: More server properties; they also replace ours.
        environment: More variables for Java.
        on_progress: Told where a start stands.
    """

    data: Path
    port: int = 0
    cache: Path | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    on_progress: ProgressListener = ignore_progress
    _folder: DataFolder = field(init=False, repr=False)
    _process: JavaProcess | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self._folder = DataFolder(self.data)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """What clients are given; complete once the broker has been started."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The number of the Java process; None when the broker is stopped."""
        return None if self._process is None else self._process.pid

    @property
    def output_path(self) -> Path:
        """The file with what Kafka says."""
        return self._folder.output_path

    async def start(self) -> None:
        """Start, and return once the broker answers. What the first time needs is fetched.

        On any error, and when cancelled, nothing of it is left running.

        Raises:
            DataFolderError: The folder is in use by another broker, or cannot be used.
            PortInUseError: Something else listens on the port.
            BrokerStartError: Kafka could not be fetched or started; or the extra is missing.
        """
        if self._process is not None:
            raise BrokerStartError(
                where=f"local broker on {self.data}",
                what="is running already",
                next_step="Stop it first.",
            )
        java_binary()  # says at once that the extra is missing, before anything is touched
        self._folder.acquire()
        try:
            await self._stop_leftover()
            check_port(self.port)
            jars = await ensure_kafka(self.cache, on_progress=self.on_progress)
            await self._launch(jars)
        except BaseException:
            self.kill()
            raise

    async def stop(self) -> None:
        """Stop in order: SIGTERM, then SIGKILL if it takes too long. Harmless when stopped."""
        process = self._process
        if process is None:
            return
        try:
            self.resume()
            process.signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            log.warning("broker.killed", reason="did not stop", wait_s=STOP_TIMEOUT_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, also when it is paused. The data stays. Harmless when stopped."""
        if self._process is not None:
            self._process.kill()
            self._process = None
            self._folder.forget_pid()
        self._folder.release()

    def pause(self) -> None:
        """Stop the clock for it with SIGSTOP: the port accepts, and nobody answers."""
        if self._process is not None:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._process is not None:
            self._process.signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Stop it in order, if it runs, and start it on the same port and data.

        Raises:
            StreamerError: As `start`.
        """
        await self.stop()
        await self.start()

    async def ended(self) -> StreamerError | None:
        """Wait until Kafka ends by itself, and say why. None if the broker is not running."""
        if self._process is None:
            return None
        status = await self._process.wait()
        return end_explained(self._folder, status, port=self.port)

    async def _stop_leftover(self) -> None:
        """Stop the Java that a killed process of ours left working on this folder."""
        pid = self._folder.remembered_pid()
        if pid is None:
            return
        if is_broker_on(pid, self._folder.properties_path):
            self.on_progress(Progress(Stage.STOPPING_LEFTOVER))
            await stop_leftover(pid, self._folder.properties_path)
        self._folder.forget_pid()

    async def _launch(self, jars: list[Path]) -> None:
        """Format the folder if it is new, start Kafka, and wait until it answers."""
        try:
            self._folder.prepare_start()
            if not self._folder.is_formatted():
                self.on_progress(Progress(Stage.FORMATTING))
                await format_folder(self._folder, jars)
            self.on_progress(Progress(Stage.STARTING))
            properties = server_properties(
                log_folder=self._folder.log_folder, port=self.port, extra=self.properties
            )
            self._process = start_kafka(
                self._folder, jars, properties=properties, environment=self.environment
            )
            self._folder.remember_pid(self._process.pid)
        except OSError as error:
            raise DataFolderError(
                where=f"data folder {self._folder.path}",
                what=f"cannot be used: {error.strerror}",
                next_step="Make room or change its permissions, or choose another with --data.",
            ) from error
        self.port = await wait_until_ready(self._process, self._folder, port=self.port)
        self.on_progress(Progress(Stage.READY))
