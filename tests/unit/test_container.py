"""`Dockerfile` and `docker-compose.yml`: valid, confined, and about settings that exist.

No engine builds or runs them here: their syntax is judged by the Compose Specification's schema and
by hadolint, and what they say is held to what the program has.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest

from streamer.config import ENVIRONMENT_PREFIX, Settings, WebSettings
from streamer.daemon import SHUTDOWN_DEADLINE_S
from streamer.telemetry.board import Board
from streamer.telemetry.metrics import Metrics
from streamer.web.server import WebServer
from tests.support.container_files import COMPOSE, DOCKERFILE, REPOSITORY, compose, instructions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMA: Final = REPOSITORY / "tests/compose-spec/compose-spec.json"
BY_DIGEST: Final = re.compile(r"[a-z/]+:[0-9][0-9.a-z-]*@sha256:[0-9a-f]{64}")

SERVICES: Final[Mapping[str, Any]] = compose()["services"]


def _settings() -> Iterator[str]:
    for section, field in Settings.model_fields.items():
        for name in getattr(field.annotation, "model_fields", {}):
            yield f"{ENVIRONMENT_PREFIX}{section}__{name}".upper()


def test_compose_file_is_one() -> None:
    """The Compose Specification's own schema accepts it, and would not accept anything."""
    schema = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))
    assert [error.message for error in schema.iter_errors(compose())] == []
    assert not schema.is_valid({"services": {"kafka": {"immage": "apache/kafka"}}})


def test_dockerfile_has_nothing_that_a_linter_would_change() -> None:
    """Hadolint parses it, and none of its rules objects."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_confined(name: str) -> None:
    """No root file system to write to, no capability, no new privilege, no end of memory."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service.get("user", "appuser") not in {"root", "0", "0:0"}
    assert not {"privileged", "cap_add", "pid", "network_mode"} & set(service)
    # Nothing is reachable from beyond this machine.
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_kafka_can_write_what_it_writes_and_load_its_codecs() -> None:
    """A file system in memory is root's and without exec, unless it is said otherwise."""
    kafka = SERVICES["kafka"]
    options = dict(mount.split(":") for mount in kafka["tmpfs"])
    assert all("mode=1777" in each for each in options.values())
    assert "exec" in options["/tmp"].split(",")  # noqa: S108 - a path in the container
    (volume,) = (mount.partition(":")[2] for mount in kafka["volumes"])
    written = kafka["environment"]["KAFKA_LOG_DIRS"], kafka["environment"]["LOG_DIR"]
    assert all(path.startswith(f"{volume}/") for path in written)


def test_images_are_pinned() -> None:
    """By digest, or built here under the version of this tree; so is what the image is built on."""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    for service in SERVICES.values():
        if "build" in service:
            assert service["image"] == f"streamer:{version}"
        else:
            assert BY_DIGEST.fullmatch(service["image"])
    bases = {rest.split()[0] for name, rest in instructions() if name == "FROM"}
    assert len(bases) == 1
    assert BY_DIGEST.fullmatch(bases.pop())


def test_worker_is_given_longer_to_stop_than_it_takes() -> None:
    """Compose kills only what has missed its own deadline."""
    grace = re.fullmatch(r"(\d+)s", SERVICES["streamer"]["stop_grace_period"])
    assert grace is not None
    assert float(grace[1]) >= SHUTDOWN_DEADLINE_S + 5


def test_only_settings_that_exist_are_set() -> None:
    """Every variable of ours in the two files, also in their comments, is a setting."""
    text = COMPOSE.read_text() + DOCKERFILE.read_text()
    named = set(re.findall(r"STREAMER_[A-Z_]+", text))
    assert named
    assert named <= set(_settings())


def test_image_runs_as_nobody_in_particular_and_copies_what_is_there() -> None:
    """Its last user is a number that is not root's, and `.dockerignore` lets in what it copies."""
    last = [rest for name, rest in instructions() if name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last)
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == let_in
    assert all((REPOSITORY / source).exists() for source in copied)


async def test_health_check_tells_a_worker_that_lives_from_one_that_does_not() -> None:
    """The image's own command succeeds while `/healthz` answers, and fails when nobody does."""
    check = next(rest for name, rest in instructions() if name == "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"
    board = Board()
    server = WebServer(WebSettings(port=0), board, Metrics(board))
    await server.start()
    assert await _exit_code(command, server.port) == 0
    await server.stop()
    assert await _exit_code(command, server.port) == 1


async def _exit_code(command: list[str], port: int) -> int:
    environ = {"STREAMER_WEB__PORT": str(port)}
    arguments = command[1:]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environ, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()
