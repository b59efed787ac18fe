"""Verifies parts of the topics beside each other: the first here, each other one in a process.

A process is handed its part on standard input, and says on standard output how far it is and what
has come of it. It has a session of its own, so that Ctrl-C reaches only us, who end it; and it ends
by itself once its standard input does, as when we are killed: nothing is left behind.

Why not `concurrent.futures`: where its owner is killed, its processes wait for ever.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from streamer.errors import StreamerError
from streamer.proof.outcome import Outcome
from streamer.proof.part import verify_part
from streamer.proof.worker import LENGTH_BYTES, framed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from streamer.kafka.client import Connection
    from streamer.proof.part import Part

_WORKER: Final = "streamer.proof.worker"

ENDS_WITHIN_S: Final = 5.0
"""After its last message, if that was no answer."""


async def verify_parts(
    connection: Connection, parts: Sequence[Part], on_progress: Callable[[int], None]
) -> list[Outcome]:
    """Verify each part; a single one needs no process beside ours.

    Args:
        connection: To the cluster.
        parts: What is read.
        on_progress: Told how many offsets of the audit topic have been passed by all together.

    Raises:
        StreamerError: What the first that failed says; the others are ended.
    """
    done = [0] * len(parts)

    def passed(number: int, offsets: int) -> None:
        done[number] = offsets
        on_progress(sum(done))

    def verify(number: int, part: Part) -> Coroutine[Any, Any, Outcome]:
        of_this = partial(passed, number)
        if number:
            return _verified_apart(part, of_this)
        return verify_part(connection, part, of_this)

    try:
        async with asyncio.TaskGroup() as tasks:
            verifying = [
                tasks.create_task(verify(number, part), name=f"part {number}")
                for number, part in enumerate(parts)
            ]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in verifying]


async def _verified_apart(part: Part, on_progress: Callable[[int], None]) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        # `-P`, and our own path: it imports what we would, not what lies in the current folder.
        *(sys.executable, "-P", "-m", _WORKER),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    stdin = cast("asyncio.StreamWriter", process.stdin)
    stdout = cast("asyncio.StreamReader", process.stdout)
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(framed(part))
            await stdin.drain()
        while (message := await _message(stdout)) is not None:
            if isinstance(message, Outcome):
                return message
            if isinstance(message, StreamerError):
                raise message
            on_progress(message)
        # It has ended, or is about to. Killed before it was waited for, it would have no exit code.
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDS_WITHIN_S):
                await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    raise StreamerError(
        where="streamer verify",
        what=f"one of its processes ended without an answer (exit code {process.returncode})",
        next_step="If the machine is short of memory, read with --processes 1.",
    )


async def _message(stdout: asyncio.StreamReader) -> Any:  # noqa: ANN401 - whatever was pickled
    """The next message of a process; None if it has ended."""
    try:
        length = int.from_bytes(await stdout.readexactly(LENGTH_BYTES), "big")
        return pickle.loads(await stdout.readexactly(length))  # noqa: S301 - of our own process
    except asyncio.IncompleteReadError:
        return None
