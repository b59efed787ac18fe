"""The demo's Flatfile account, in a process of its own: it takes no time from the daemon's loop.

It ends when its standard input does, so that it cannot outlive the demo, however that dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from streamer.commands.sandbox import serve
from streamer.errors import StreamerError
from streamer.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

MODULE: Final = "streamer.commands.demo_sandbox"

START_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 5.0


class SandboxStartError(StreamerError):
    """The account did not come up."""


@contextlib.asynccontextmanager
async def sandbox_process(options: Mapping[str, object]) -> AsyncIterator[str]:
    """Run an account for the time of the block, and hand out the URL of its API.

    Raises:
        SandboxStartError: It did not come up.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, json.dumps(options)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C is for the daemon first: it reads from the account while it stops.
        start_new_session=True,
    )
    try:
        yield await _url(process)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()


async def _url(process: asyncio.subprocess.Process) -> str:
    line = b""
    if process.stdout is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_WITHIN_S):
                line = await process.stdout.readline()
    name, _, url = line.decode().strip().partition("=")
    if not name or not url:
        raise SandboxStartError(
            where="sandbox",
            what="the made-up Flatfile account did not start",
            next_step="Run `streamer sandbox --port 0` to see why.",
        )
    return url


async def _serve_until_orphaned(options: SandboxOptions) -> int:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )

    async def end_with_the_input() -> None:
        await reader.read()
        os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(end_with_the_input(), name="standard input")
        try:
            return await serve(options)
        finally:
            watching.cancel()


if __name__ == "__main__":
    sys.exit(asyncio.run(_serve_until_orphaned(SandboxOptions(**json.loads(sys.argv[1])))))
