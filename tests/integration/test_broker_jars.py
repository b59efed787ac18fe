"""Kafka's files: only the right bytes get into the cache, whatever the repository sends.

The repository is a real server on loopback that can misbehave; no test here needs the internet.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import stamina
from typing_extensions import override

from streamer.broker.extra import default_cache_folder
from streamer.broker.jars import ensure_jars
from streamer.broker.lock import KAFKA_VERSION, LockedJar, read_lock
from streamer.errors import BrokerStartError

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.broker.progress import Progress

BODIES = {f"part{number}": bytes([number]) * 20_000 for number in range(6)}

JARS = [
    LockedJar("com.example", artifact, "1.0", hashlib.sha256(body).hexdigest())
    for artifact, body in BODIES.items()
]

Serve = Callable[[dict[str, bytes]], tuple["Repository", dict[str, str]]]
"""Serves files: the repository, to be inspected, and what `ensure_jars` takes for it."""

Misbehave = Callable[[BaseHTTPRequestHandler, bytes], None]


class Repository:
    """A Maven repository of the given files, keyed by file name."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: Counter[str] = Counter()
        self.misbehave: dict[str, list[Misbehave]] = {}
        """By file name: what is done instead of answering, once each, in order."""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Serve one request."""
        name = request.path.rpartition("/")[2]
        body = self.files.get(name)
        if body is None:  # checksum files too: a repository need not have them
            request.send_error(404)
            return
        self.requests[name] += 1
        instead = self.misbehave.get(name)
        if instead:
            instead.pop(0)(request, body)
        else:
            send(request, body)


def send(request: BaseHTTPRequestHandler, body: bytes, *, cut_at: int | None = None) -> None:
    """Answer 200, and hang up early if told so."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[:cut_at])


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves files on loopback until the test ends."""
    servers: list[ThreadingHTTPServer] = []

    def start(files: dict[str, bytes]) -> tuple[Repository, dict[str, str]]:
        repository = Repository(files)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.answer(self)

            @override
            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return repository, {"local": f"http://127.0.0.1:{server.server_port}"}

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def small(
    serve: Serve,
) -> tuple[Repository, dict[str, str]]:
    """A repository of a few small files."""
    return serve({f"{artifact}-1.0.jar": body for artifact, body in BODIES.items()})


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Attempts follow each other at once."""
    with stamina.set_testing(True, attempts=3):
        yield


def content(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


async def test_missing_files_are_fetched_once_and_progress_is_told(
    tmp_path: Path, small: tuple[Repository, dict[str, str]]
) -> None:
    """The first call fetches every file, says how far it is, and the second asks for nothing."""
    repository, repositories = small
    heard: list[Progress] = []

    paths = await ensure_jars(
        JARS, tmp_path / "cache", on_progress=heard.append, repositories=repositories
    )
    assert await ensure_jars(JARS, tmp_path / "cache", on_progress=heard.append) == paths

    assert [path.read_bytes() for path in paths] == list(BODIES.values())
    assert content(tmp_path / "cache") == repository.files
    assert set(repository.requests.values()) == {1}
    assert [progress.files_done for progress in heard] == [0, 1, 2, 3, 4, 5, 6]
    assert heard[-1].fetched_bytes == sum(map(len, BODIES.values()))


async def test_altered_and_truncated_files_alone_are_fetched_again(
    tmp_path: Path, serve: Serve
) -> None:
    """In a copy of Kafka's own cache only the two damaged files are mended, from the lock file."""
    original = default_cache_folder() / f"kafka-{KAFKA_VERSION}"
    jars = read_lock()
    await ensure_jars(jars, original)
    cache = tmp_path / "cache"
    cache.mkdir()
    for jar in jars:
        (cache / jar.file_name).symlink_to(original / jar.file_name)
    altered = cache / "slf4j-simple-1.7.36.jar"
    truncated = next(cache.glob("zstd-jni-*.jar"))
    wanted = {path.name: path.read_bytes() for path in (altered, truncated)}
    for path, damaged in ((altered, b"x" + wanted[altered.name][1:]), (truncated, b"")):
        path.unlink()
        path.write_bytes(damaged)
    repository, repositories = serve(wanted)

    await ensure_jars(jars, cache, repositories=repositories)

    assert repository.requests == Counter(wanted.keys())
    assert {path.name: path.read_bytes() for path in (altered, truncated)} == wanted


@pytest.mark.parametrize(
    "fault",
    [
        lambda request, body: send(request, body, cut_at=len(body) // 2),
        lambda request, body: send(request, body[:-1] + b"?"),
        lambda request, _: request.send_error(503),
        lambda request, _: request.connection.close(),
    ],
    ids=["half a body", "another byte", "503", "no answer"],
)
async def test_fault_of_the_repository_is_tried_again(
    tmp_path: Path, small: tuple[Repository, dict[str, str]], fault: Misbehave
) -> None:
    """A file that came wrong twice is had at the third attempt, and is then the right one."""
    repository, repositories = small
    repository.misbehave["part3-1.0.jar"] = [fault, fault]

    await ensure_jars(JARS, tmp_path, repositories=repositories)

    assert content(tmp_path) == repository.files
    assert repository.requests["part3-1.0.jar"] == 3


async def test_file_with_another_digest_never_enters_the_cache(
    tmp_path: Path, small: tuple[Repository, dict[str, str]]
) -> None:
    """A repository that serves something else is refused in a sentence that names no host."""
    repository, repositories = small
    repository.files["part3-1.0.jar"] = b"not what the lock file names"

    with pytest.raises(BrokerStartError) as refusal:
        await ensure_jars(JARS, tmp_path, repositories=repositories)

    assert "part3-1.0.jar arrived with another SHA-256" in refusal.value.what
    assert "127.0.0.1" not in str(refusal.value)
    left = content(tmp_path)
    assert "part3-1.0.jar" not in left
    assert left.items() <= repository.files.items()


async def test_unreachable_repository_is_a_sentence(tmp_path: Path) -> None:
    """Without a network the user reads what to do, and no host and no traceback of a library."""
    with pytest.raises(BrokerStartError) as refusal:
        await ensure_jars(JARS, tmp_path, repositories={"gone": "http://127.0.0.1:9"})

    assert "did not arrive (ConnectionError)" in refusal.value.what
    assert "Check the network" in refusal.value.next_step
    assert "127.0.0.1" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert content(tmp_path) == {}


async def test_two_at_once_on_one_cache_do_not_disturb_each_other(
    tmp_path: Path, small: tuple[Repository, dict[str, str]]
) -> None:
    """Two that start together both end with a complete cache."""
    repository, repositories = small

    await asyncio.gather(
        ensure_jars(JARS, tmp_path, repositories=repositories),
        ensure_jars(JARS, tmp_path, repositories=repositories),
    )

    assert content(tmp_path) == repository.files


async def test_cache_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    """A cache that cannot be written to is named, with the system's reason."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(BrokerStartError) as refusal:
        await ensure_jars(JARS, tmp_path / "file" / "cache")

    assert str(tmp_path / "file" / "cache") in refusal.value.where
    assert "Not a directory" in refusal.value.what


def test_interrupted_fetch_ends_at_once(
    tmp_path: Path, small: tuple[Repository, dict[str, str]]
) -> None:
    """Who interrupts a fetch does not wait for the rest of a file that comes slowly."""
    repository, repositories = small
    begun, test_is_over = threading.Event(), threading.Event()

    def trickle(request: BaseHTTPRequestHandler, body: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body) * 1000))
        request.end_headers()
        begun.set()
        with suppress(ConnectionError):
            while not test_is_over.wait(0.005):
                request.wfile.write(body[:4_000])

    async def fetch_and_interrupt() -> None:
        fetch = asyncio.create_task(ensure_jars(JARS, tmp_path, repositories=repositories))
        await asyncio.to_thread(begun.wait, 30)
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch

    repository.misbehave["part0-1.0.jar"] = [trickle]
    began_s = time.monotonic()
    try:
        asyncio.run(fetch_and_interrupt())  # waits for every thread
    finally:
        test_is_over.set()

    assert time.monotonic() - began_s < 5  # to the end it would be 25 s
    assert "part0-1.0.jar" not in content(tmp_path)
