"""What `Dockerfile` and `docker-compose.yml` say, for the tests that hold them to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).parents[2]
DOCKERFILE: Final = REPOSITORY / "Dockerfile"
COMPOSE: Final = REPOSITORY / "docker-compose.yml"


def compose() -> dict[str, Any]:
    """Return the Compose file as it stands, its variables unresolved."""
    return dict(yaml.safe_load(COMPOSE.read_text(encoding="utf-8")))


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each in one line: `("COPY", "schemas/ schemas/")`."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    words = [line.split(maxsplit=1) for line in joined.splitlines() if line]
    return [(name, rest) for name, rest in words]
