"""A broker that outlived the process that started it: recognized beyond doubt, and stopped.

Only systems other than Linux leave one (see `java.py`). It would hold the port and the data.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from streamer.errors import DataFolderError

_STOP_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.05


def is_broker_on(pid: int, properties_path: Path) -> bool:
    """Whether this process is a Kafka that was started with this very properties file.

    Numbers are used again: only the command line tells.
    """
    command = _command_line(pid)
    return "kafka.Kafka" in command and str(properties_path) in command


async def stop_leftover(pid: int, properties_path: Path) -> None:
    """Stop it, kindly first. Returns once it is gone.

    Raises:
        DataFolderError: It cannot be stopped: it belongs to somebody else, or hangs in the kernel.
    """
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not is_broker_on(pid, properties_path):
                return
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_TIMEOUT_S):
                    while is_broker_on(pid, properties_path):  # noqa: ASYNC110 (not our child)
                        await asyncio.sleep(_POLL_S)
                    return
        reason = "does not end"
    except PermissionError:
        reason = "belongs to another user"
    raise DataFolderError(
        where=f"data folder {properties_path.parent}",
        what=f"in use by a broker that was left behind (process {pid}) and {reason}",
        next_step="Stop that process, or choose another folder with --data.",
    )


def _command_line(pid: int) -> str:
    """The command line of a process; empty if there is no such process, or only its remains."""
    if Path("/proc/self/cmdline").exists():
        with suppress(OSError):
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
        return ""
    ps = shutil.which("ps")
    if ps is None:
        return ""
    answer = subprocess.run(  # noqa: S603 (a number of ours)
        [ps, "-ww", "-p", str(pid), "-o", "command="], capture_output=True, check=False, timeout=5
    )
    return os.fsdecode(answer.stdout)
