"""Runs the installed command as users do: a process, its exit code, and what it printed."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

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
