"""`streamer verify`: do the topics keep their promises? What does not, where, and what to do."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.terminal import clipped
from streamer.commands.verify_report import as_json, as_text
from streamer.config import load_settings
from streamer.errors import CheckFailedError, SettingsError
from streamer.kafka.client import Connection
from streamer.proof.reading import verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

Processes = Annotated[int, Parameter(validator=validators.Number(gte=1))]
"""How many; at least one."""

LINE_EVERY_S: Final = 10.0
"""Where there is no terminal, a line says so often how far it is."""


async def verify(
    *,
    config: ConfigFile = None,
    environment: str | None = None,
    processes: Processes | None = None,
    json: bool = False,
) -> int:
    """Hold the topics against what they promise; workers may go on writing.

    Looks at every committed record: its number, its hash and the one before it, its partition, its
    headers, whether its event is there twice; whether each checkpoint agrees with the last record,
    and each dead letter with its stub. Shows what was read of each environment, what does not hold
    (gap, reordered, duplicate, altered, unlinked, unreadable, misplaced, headers, torn, checkpoint,
    dead-letter), and what to do about it. Exit code 0 if all holds, 5 if not.

    Records that retention deleted are no gap. What a chain alone cannot show: that its end was cut
    off together with the checkpoints, or that everything was written anew. Keep the heads that
    --json prints: whoever has them can tell.

    Args:
        config: TOML file with settings.
        environment: Only this one: its id.
        processes: How many read beside each other. If not given: one a core, fewer for little.
        json: Print one JSON object, with the head of every chain.
    """
    silence_logs()
    settings = load_settings(config).kafka
    connection = Connection(settings)
    with _progress() as on_progress:
        outcome = await verified(
            connection,
            settings,
            environment=environment,
            processes=processes,
            on_progress=on_progress,
        )
    if environment is not None and not (outcome.environments or outcome.findings.described):
        raise SettingsError(
            where="--environment",
            what=f"there is no record of {clipped(environment, 100)}",
            next_step="`streamer status --json` has the ids of all environments.",
        )
    if json:
        sys.stdout.write(f"{as_json(outcome, settings.audit_topic)}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in as_text(outcome, settings.audit_topic))
    return CheckFailedError.exit_code if outcome.findings.counts else 0


def _progress() -> AbstractContextManager[Callable[[int, int], None]]:
    console = Console(stderr=True, highlight=False, markup=False)
    return _Bar(console) if console.is_terminal else nullcontext(_Lines())


class _Bar:
    """One line that changes, and is gone at the end."""

    def __init__(self, console: Console) -> None:
        self._display = Progress(
            TextColumn("Verifying"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._display.add_task("", total=0)

    def __enter__(self) -> Callable[[int, int], None]:
        self._display.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def _show(self, done: int, total: int) -> None:
        self._display.update(self._task, completed=done, total=total)


class _Lines:
    """A line now and then, for logs and pipes."""

    def __init__(self) -> None:
        self._next_at = time.monotonic() + LINE_EVERY_S

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + LINE_EVERY_S
        sys.stderr.write(f"streamer: verified {done:,} of {total:,}\n")
