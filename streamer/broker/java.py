"""Java processes: how they are called, started so that none is left behind, and ended.

A process is polled instead of awaited, so that it belongs to no event loop: tests start a broker
in one loop, use it in others, and stop it in a last one.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from streamer.broker.extra import java_binary

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FLAGS: Final = (
    "-Xmx192m",
    # A short life: the quick compiler and the simplest collector halve the start.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    # These two only silence warnings.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    # At INFO it says on which port it listens.
    "-Dorg.slf4j.simpleLogger.log.kafka.network.DataPlaneAcceptor=info",
)

_NOT_INHERITED: Final = frozenset({"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"})
"""Variables with which a machine's own Java set-up would reach into ours."""

_POLL_S: Final = 0.02

_TETHER: Final = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that asked for Java is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Has Linux kill the process when its parent dies (PR_SET_PDEATHSIG = 1), then becomes Java.

A program of its own, because code between fork and exec (`preexec_fn`) can deadlock in a process
with threads. Linux means the *thread* that started the process: start brokers where it lives on.
"""


_QUIET_SNAPSHOT: Final = ("-Xlog:disable", "-Xlog:all=error:stderr")
"""Java warns of a snapshot that does not fit, and then starts as if there were none."""


def snapshot_path(jars: Sequence[Path]) -> Path:
    """Where a snapshot of loaded classes lies that fits these files, this Java and our flags.

    It need not exist: see `snapshot.py`.

    Raises:
        BrokerStartError: The `demo` extra is not installed.
    """
    digest = hashlib.sha256(repr(_FLAGS).encode())
    for path in (java_binary(), *jars):
        # As Java itself compares them.
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return jars[0].parent / f"classes-{digest.hexdigest()[:16]}.aot"


def java_command(
    jars: Sequence[Path],
    temporary_folder: Path,
    main: str,
    *arguments: str,
    flags: Sequence[str] = (),
) -> list[str]:
    """The command line that runs one of Kafka's main classes, with a snapshot if there is one.

    Raises:
        BrokerStartError: The `demo` extra is not installed.
    """
    snapshot = snapshot_path(jars)
    quick = (f"-XX:AOTCache={snapshot}", *_QUIET_SNAPSHOT) if snapshot.exists() else ()
    return [
        str(java_binary()),
        *_FLAGS,
        *quick,
        *flags,
        f"-Djava.io.tmpdir={temporary_folder}",
        "-cp",
        os.pathsep.join(map(str, jars)),
        main,
        *arguments,
    ]


class JavaProcess:
    """One running Java. Ends with this process at the latest, where the system allows it."""

    def __init__(
        self, command: Sequence[str], *, output: Path, folder: Path, environment: Mapping[str, str]
    ) -> None:
        """Start it, in a session of its own.

        Ctrl-C at a terminal therefore does not reach it: clients still have something to commit.

        Args:
            command: From `java_command`.
            output: File that takes everything it says; appended to.
            folder: Where it runs, and leaves a report if it crashes.
            environment: Variables in addition to our own.
        """
        with output.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 (nothing here comes from outside)
                _tethered(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=folder,
                env=_environment(environment),
                start_new_session=True,
            )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once and wait until it is gone. Harmless after its end."""
        self._process.kill()
        self._process.wait()
        atexit.unregister(self.kill)

    async def wait(self) -> int:
        """Wait for its end and return its exit status."""
        while (status := self.exit_status) is None:  # noqa: ASYNC110 (no loop can be told)
            await asyncio.sleep(_POLL_S)
        atexit.unregister(self.kill)
        return status


def _tethered(command: Sequence[str]) -> list[str]:
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TETHER, str(os.getpid()), *command]


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    # Under the C locale Java turns every letter beyond ASCII in a path into a question mark.
    return inherited | {"LC_ALL": "C.UTF-8"} | dict(extra)
