"""Runs the installed command as users do: a process, its exit code, and what it printed.

Into pipes, or at a terminal of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.broker.local import LocalBroker

WITHIN_S: Final = 50.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed to standard output."""
        return self.out.splitlines()

    @property
    def everything(self) -> str:
        """What it printed at all."""
        return self.out + self.err


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting of streamer, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMER_")}
    return kept | dict(settings or {})


def kafka_variables(broker: LocalBroker, prefix: str) -> dict[str, str]:
    """Variables of a deployment on this broker."""
    return {
        "STREAMER_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "STREAMER_KAFKA__TOPIC_PREFIX": prefix,
        "STREAMER_KAFKA__STARTUP_TIMEOUT": "10",
    }


async def start(
    *arguments: str, settings: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start `streamer` with these arguments and variables, in a process group of its own."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streamer", *arguments),
        env=environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def finish(process: asyncio.subprocess.Process, within_s: float = WITHIN_S) -> Result:
    """Wait until it ends by itself."""
    try:
        out, err = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


async def streamer(*arguments: str, settings: Mapping[str, str] | None = None) -> Result:
    """Run `streamer` to its end."""
    return await finish(await start(*arguments, settings=settings))


async def at_terminal(*arguments: str, settings: Mapping[str, str] | None = None) -> Result:
    """Run `streamer` to its end where results and messages go to terminals of 80 columns."""
    out, out_end = pty.openpty()
    err, err_end = pty.openpty()
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "streamer", *arguments),
                env=environment({"COLUMNS": "80"} | dict(settings or {})),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out_end,
                stderr=err_end,
                start_new_session=True,
            )
        finally:
            # From here on the ends are those of the process alone, and closed when it ends.
            os.close(out_end)
            os.close(err_end)
        try:
            async with asyncio.timeout(WITHIN_S):
                shown = await asyncio.gather(*(asyncio.to_thread(_read, end) for end in (out, err)))
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    finally:
        os.close(out)
        os.close(err)
    return Result(code, *(each.decode() for each in shown))


def _read(end: int) -> bytes:
    pieces = []
    # Linux says EIO, not the end, when nobody holds the other end any more.
    with contextlib.suppress(OSError):
        while piece := os.read(end, 65_536):
            pieces.append(piece)
    return b"".join(pieces)
