"""`streamer run` that tells every second how many asyncio tasks it has: `tasks 63` on stdout.

    python -m tests.support.counted_tasks

A timer's signal counts them, so that the counting itself is no task, no thread and no socket.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

from streamer import cli

TOLD: Final = "tasks "
"""What a line of it begins with."""

EVERY_S: Final = 1.0


def _tell(*_: object) -> None:
    # While no loop runs there is nothing to tell.
    with suppress(RuntimeError):
        os.write(1, f"{TOLD}{len(asyncio.all_tasks())}\n".encode())


def main() -> NoReturn:
    """Run the daemon with a timer."""
    signal.signal(signal.SIGALRM, _tell)
    signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
    code = cli.call(["run"])
    # A signal that comes once Python takes itself down would end the process by itself.
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(code)


if __name__ == "__main__":
    main()
