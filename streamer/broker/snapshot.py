"""Halves every start of a broker: Java's classes as they are once loaded, kept in a file.

Making it costs one start, three more seconds and 66 MB, so the commands do not; they use one that
is there. The tests, which start many brokers, make it. It only fits the Java and the files that it
was made with (see `snapshot_path`), and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from pathlib import Path
from typing import Final

from streamer.broker.folder import DataFolder
from streamer.broker.jars import ensure_kafka
from streamer.broker.java import snapshot_path
from streamer.broker.launch import format_folder, start_kafka, wait_until_ready
from streamer.broker.properties import server_properties

_WRITE_TIMEOUT_S: Final = 60.0
"""From SIGTERM to the end: Java writes the file at its exit, in 4 s on two idle cores."""

_KEPT_FOR_S: Final = 7 * 24 * 3600


async def make_snapshot(cache: Path | None = None) -> None:
    """Make starts from this cache folder quick, unless they are already. None: the user's.

    Several processes may do so at once; each works in a folder of its own.

    Raises:
        BrokerStartError: Kafka could not be fetched or started.
        TimeoutError: Java did not write the file in time.
    """
    jars = await ensure_kafka(cache)
    wanted = snapshot_path(jars)
    if wanted.exists():
        return
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=wanted.parent) as temporary:
        folder = DataFolder(Path(temporary) / "data")
        folder.acquire()
        folder.prepare_start()
        await format_folder(folder, jars)
        written = Path(temporary) / "classes.aot"
        process = start_kafka(
            folder,
            jars,
            properties=server_properties(log_folder=folder.log_folder, port=0),
            environment={},
            flags=[f"-XX:AOTCacheOutput={written}"],
        )
        try:
            await wait_until_ready(process, folder, port=0)
            process.signal(signal.SIGTERM)
            async with asyncio.timeout(_WRITE_TIMEOUT_S):
                await process.wait()
        finally:
            process.kill()
            folder.release()
        written.replace(wanted)
    _remove_outdated(wanted)


def _remove_outdated(kept: Path) -> None:
    """Another environment's snapshot may still be in use; an old one hardly is."""
    for other in kept.parent.glob("classes-*.aot"):
        if time.time() - other.stat().st_mtime > _KEPT_FOR_S:
            other.unlink(missing_ok=True)
