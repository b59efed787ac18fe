"""`streamer broker`: a local Apache Kafka in the foreground, with its data in a folder.

Standard output carries the one line that `streamer run` needs, once the broker answers, so that
a script can read it; everything else goes to standard error.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path  # noqa: TC003 (the command line reads the annotations)
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from streamer.broker.extra import default_data_folder
from streamer.broker.local import LocalBroker
from streamer.broker.lock import KAFKA_VERSION
from streamer.broker.progress import Progress as BrokerProgress
from streamer.broker.progress import ProgressListener, Stage
from streamer.commands.stopping import stop_on_signals, unless_stopped

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_FILES_PER_LINE: Final = 10
"""Away from a terminal one line is written for so many fetched files."""


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
    stop = stop_on_signals()
    began_s = time.monotonic()
    try:
        with _narration(console) as local.on_progress:
            await unless_stopped(stop, local.start())
        if stop.is_set():
            return 0
        sys.stdout.write(f"export STREAMER_KAFKA__BOOTSTRAP_SERVERS={local.bootstrap_servers}\n")
        sys.stdout.flush()
        console.print(
            f"Apache Kafka {KAFKA_VERSION} answers on {local.bootstrap_servers} "
            f"after {time.monotonic() - began_s:.1f} s. Data: {local.data}. Ctrl-C stops it."
        )
        ended = await unless_stopped(stop, local.ended())
        if ended is not None:
            raise ended
        console.print("Stopping Apache Kafka.")
    finally:
        await local.stop()
    return 0


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
