"""The list of jars that make up the broker, each with its SHA-256; checked in beside this file.

Reading it needs no more than the standard library. Making it (once per Kafka version, see
`make_lock`) resolves Maven's project files, and is the only moment at which they are trusted.
"""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.3.1"
LOCK_PATH: Final = Path(__file__).with_name(f"kafka-{KAFKA_VERSION}.lock.toml")

_ROOTS: Final = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}!", "org.slf4j:slf4j-simple:1.7.36!")
"""What is resolved: the broker, and a logger, without which it is silent.

The `!` keeps the resolver from taking a root's own version table for everybody's: without it the
second root can push the Kafka client a major version below the broker beside it.
"""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One file: its Maven coordinates, and the digest that makes it the right one."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """What the file is called in the cache folder."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(path: Path = LOCK_PATH) -> list[LockedJar]:
    """The jars of a lock file, in an order that does not change (the class path depends on it)."""
    with path.open("rb") as file:
        entries = tomllib.load(file)["dependencies"]
    jars = [
        LockedJar(
            group=entry["groupId"],
            artifact=entry["artifactId"],
            version=entry["version"],
            sha256=entry["sha256"],
        )
        for entry in entries
    ]
    return sorted(jars, key=lambda jar: jar.file_name)


def make_lock(path: Path) -> None:
    """Resolve `KAFKA_VERSION` anew and write its lock file: for a new version, by a developer.

    Fetches every project file and jar, which takes half a minute. Nothing of it is kept.
    """
    from jgo.env import LockFile  # noqa: PLC0415 (only the demo extra has it)
    from jgo.maven import MavenContext  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as temporary:
        maven = MavenContext(repo_cache=Path(temporary), timeout=60)
        roots = [maven.create_dependency(coordinates) for coordinates in _ROOTS]
        direct, transitive = maven.resolver.resolve(roots)
        needed = [each for each in transitive if each.scope in ("compile", "runtime")]
        LockFile.from_resolved_dependencies([*direct, *needed]).save(path)
