"""`streamer broker`: a local Apache Kafka in the foreground, with its data in a folder.

Standard output carries the one line that `streamer run` needs, once the broker answers, so that
a script can read it; everything else goes to standard error.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path  # noqa: TC003 (the command line reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from cyclopts import Parameter, validators
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from streamer.broker.extra import default_data_folder
from streamer.broker.local import LocalBroker
from streamer.broker.lock import KAFKA_VERSION
from streamer.broker.progress import Progress as BrokerProgress
from streamer.broker.progress import ProgressListener, Stage

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AbstractContextManager

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_FILES_PER_LINE: Final = 10
"""Away from a terminal one line is written for so many fetched files."""

_T = TypeVar("_T")


async def broker(
    *,
    data: Path | None = None,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 9092,
) -> int:
    """Run a local Apache Kafka until Ctrl-C, for a first try. Needs no Java and no Docker.

    The first time, 45 MB are fetched and checked; later starts need no network. It listens on
    127.0.0.1 only, without encryption or passwords: not for production.

    Args:
        data: Folder for the broker's data, kept when it stops. Default: a folder of your user.
        port: Port on 127.0.0.1; 0 takes a free one.
    """
    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    local = LocalBroker(data or default_data_folder(), port=port)
    stop = _stop_signals()
    began_s = time.monotonic()
    try:
        with _narration(console) as local.on_progress:
            await _unless_stopped(stop, local.start())
        if stop.is_set():
            return 0
        sys.stdout.write(f"export STREAMER_KAFKA__BOOTSTRAP_SERVERS={local.bootstrap_servers}\n")
        sys.stdout.flush()
        console.print(
            f"Apache Kafka {KAFKA_VERSION} answers on {local.bootstrap_servers} "
            f"after {time.monotonic() - began_s:.1f} s. Data: {local.data}. Ctrl-C stops it."
        )
        ended = await _unless_stopped(stop, local.ended())
        if ended is not None:
            raise ended
        console.print("Stopping Apache Kafka.")
    finally:
        await local.stop()
    return 0


def _stop_signals() -> asyncio.Event:
    """An event that the first signal to stop sets. What was ignored for us stays ignored."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    return stop


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """The result of the work, or None, and the work cancelled, if the stop comes first."""
    working = asyncio.create_task(work, name="broker")
    stopping = asyncio.create_task(stop.wait(), name="wait for a signal")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def _narration(console: Console) -> AbstractContextManager[ProgressListener]:
    """Something that says where the start stands: as a bar at a terminal, else in lines."""
    if console.is_terminal:
        return _Bar(console)
    return nullcontext(_Lines(console))


class _Bar:
    """One line that changes, and is gone once the broker answers."""

    def __init__(self, console: Console) -> None:
        self._display = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[fetched]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._display.add_task("Starting", total=None, fetched="")

    def __enter__(self) -> ProgressListener:
        self._display.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def _show(self, progress: BrokerProgress) -> None:
        fetching = progress.stage is Stage.FETCHING
        self._display.update(
            self._task,
            description=_sentence(progress.stage),
            completed=progress.files_done,
            total=progress.files_total if fetching else None,
            fetched=_fetched(progress) if fetching else "",
        )


class _Lines:
    """A line for each stage, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, progress: BrokerProgress) -> None:
        if progress.stage is Stage.READY:
            return
        line = _sentence(progress.stage)
        if progress.stage is Stage.FETCHING:
            if progress.files_done % _FILES_PER_LINE and progress.files_done < progress.files_total:
                return
            line = f"{line}: {_fetched(progress)}"
        self._console.print(line)


def _sentence(stage: Stage) -> str:
    return f"{stage.value[0].upper()}{stage.value[1:]}"


def _fetched(progress: BrokerProgress) -> str:
    megabytes = progress.fetched_bytes / 1_000_000
    return f"{progress.files_done} of {progress.files_total} files, {megabytes:.1f} MB"
