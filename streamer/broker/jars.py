"""Kafka's jars: fetched once, checked against the lock file at every start.

The resolver under it logs a wrong checksum and goes on, and takes a download that was cut off for
a cached file. So each attempt has a temporary folder of its own inside the cache, and only what
has the right SHA-256 is moved into the cache, in one step. That makes several processes at
once safe, and mends a file that was cut off or altered. With a complete cache nothing here touches
the network, nor imports what could.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import stamina

from streamer.broker.extra import default_cache_folder, missing_extra
from streamer.broker.lock import KAFKA_VERSION, read_lock
from streamer.broker.progress import Progress, ProgressListener, Stage, ignore_progress
from streamer.errors import BrokerStartError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from streamer.broker.lock import LockedJar

_CONNECTIONS: Final = 4
"""Files fetched at once. Each opens its own connection; two dozen overwhelmed a name server."""

_ATTEMPTS: Final = 5
_GIVE_UP_AFTER_S: Final = 120
_REQUEST_TIMEOUT_S: Final = 30
_STALE_AFTER_S: Final = 3600
"""Age at which a temporary folder must belong to a process that was killed."""


class _JarFetchError(Exception):
    """One file could not be had this time. Names no host: it ends up in logs and on screens."""


class _FetchAbandonedError(Exception):
    """Nobody waits for this file any more."""


async def ensure_kafka(
    cache: Path | None = None, *, on_progress: ProgressListener = ignore_progress
) -> list[Path]:
    """Make a folder for caches hold the Kafka of our lock file. None: the user's folder.

    Returns:
        The files, in the order of the lock file.

    Raises:
        BrokerStartError: A file could not be had, or the folder cannot be written to.
    """
    folder = (cache or default_cache_folder()) / f"kafka-{KAFKA_VERSION}"
    return await ensure_jars(read_lock(), folder, on_progress=on_progress)


async def ensure_jars(
    jars: Sequence[LockedJar],
    folder: Path,
    *,
    on_progress: ProgressListener = ignore_progress,
    repositories: Mapping[str, str] | None = None,
) -> list[Path]:
    """Make the cache folder hold every jar, and nothing but the right one under its name.

    Args:
        jars: What must be there.
        folder: The cache folder; made if it is missing.
        on_progress: Called before the first and after each file that is fetched; not at all when
            nothing is missing.
        repositories: Maven repositories by name, instead of the public one.

    Returns:
        The files, in the order of `jars`.

    Raises:
        BrokerStartError: A file could not be had, or the folder cannot be written to.
    """
    try:
        missing = await asyncio.to_thread(_missing, jars, folder)
        if missing:
            await asyncio.to_thread(_prepare, folder)
            await _fetch(missing, folder, on_progress, repositories)
    except OSError as error:
        raise BrokerStartError(
            where=f"cache folder {folder}",
            what=f"cannot be used: {error.strerror or type(error).__name__}",
            next_step="Make room or change its permissions, then start again.",
        ) from error
    return [folder / jar.file_name for jar in jars]


def _missing(jars: Sequence[LockedJar], folder: Path) -> list[LockedJar]:
    """The jars that are not in the folder, or not as the lock file has them."""
    return [jar for jar in jars if _sha256(folder / jar.file_name) != jar.sha256]


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _prepare(folder: Path) -> None:
    """Make the folder, and clear what killed processes left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("fetch-*"):
        if time.time() - leftover.stat().st_mtime > _STALE_AFTER_S:
            shutil.rmtree(leftover, ignore_errors=True)


async def _fetch(
    jars: Sequence[LockedJar],
    folder: Path,
    on_progress: ProgressListener,
    repositories: Mapping[str, str] | None,
) -> None:
    """Fetch all, a few at a time; the first that cannot be had ends the others.

    Raises:
        BrokerStartError: Several attempts did not bring a file, or the extra is not installed.
        OSError: The folder cannot be written to.
    """
    meter = _Meter()
    connections = asyncio.Semaphore(_CONNECTIONS)
    done = 0

    async def fetch(jar: LockedJar) -> None:
        nonlocal done
        async with connections:
            async for attempt in stamina.retry_context(
                on=_JarFetchError,
                attempts=_ATTEMPTS,
                timeout=_GIVE_UP_AFTER_S,
                wait_initial=0.2,
                wait_max=5,
            ):
                with attempt:
                    await asyncio.to_thread(_fetch_once, jar, folder, meter, repositories)
        done += 1
        on_progress(Progress(Stage.FETCHING, done, len(jars), meter.fetched_bytes))

    on_progress(Progress(Stage.FETCHING, 0, len(jars)))
    try:
        async with asyncio.TaskGroup() as group:
            for jar in jars:
                group.create_task(fetch(jar), name=f"fetch {jar.file_name}")
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if not isinstance(first, _JarFetchError):
            raise first from None
        raise BrokerStartError(
            where="Apache Kafka's files",
            what=f"{first} ({done} of {len(jars)} came)",
            next_step="Check the network and start again: what is here is not fetched twice.",
        ) from None
    finally:
        meter.abandoned = True


class _Meter:
    """Counts what the threads receive, and tells them when to give up."""

    def __init__(self) -> None:
        self.abandoned = False
        self.fetched_bytes = 0
        self._mutex = threading.Lock()

    @contextmanager
    def count(self, _file_name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        """The resolver's hook: entered for each file; what it yields is told of each piece."""
        yield self._received

    def _received(self, size_bytes: int) -> None:
        if self.abandoned:
            raise _FetchAbandonedError
        with self._mutex:
            self.fetched_bytes += size_bytes


def _fetch_once(
    jar: LockedJar, folder: Path, meter: _Meter, repositories: Mapping[str, str] | None
) -> None:
    """Fetch one file, check it, and only then give it its name in the cache.

    Raises:
        _JarFetchError: It did not come, or was not what the lock file names: may be tried again.
        OSError: The folder cannot be written to.
    """
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415 (demo extra)
        from requests import RequestException  # noqa: PLC0415 (demo extra)
    except ImportError as error:
        raise missing_extra(error) from error

    with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as temporary:
        maven = MavenContext(
            resolver=PythonResolver(progress_callback=meter.count),
            repo_cache=Path(temporary),
            remote_repos=None if repositories is None else dict(repositories),
            timeout=_REQUEST_TIMEOUT_S,
        )
        component = maven.project(jar.group, jar.artifact).at_version(jar.version)
        try:
            path = component.artifact().resolve()
        except RequestException as error:
            reason = f"{jar.file_name} did not arrive ({type(error).__name__})"
            raise _JarFetchError(reason) from None
        except RuntimeError:  # the resolver's word for any answer but 200
            reason = f"{jar.file_name} was refused by the repository"
            raise _JarFetchError(reason) from None
        if _sha256(path) != jar.sha256:
            reason = f"{jar.file_name} arrived with another SHA-256 than the lock file has"
            raise _JarFetchError(reason)
        path.replace(folder / jar.file_name)
