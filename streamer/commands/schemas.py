"""`streamer schemas`: the forms of what is published, and an example of each record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from streamer.commands.terminal import shown
from streamer.errors import SettingsError, StreamerError

_PACKAGE: Final = Path(__file__).parents[1]

PLACES: Final = (_PACKAGE / "schemas", _PACKAGE.parent / "schemas")
"""Where they lie in an installed package, and in a checkout."""


def schemas(folder: Path | None = None, /) -> int:
    """List the schemas and examples, or write them out. No Kafka is needed.

    Args:
        folder: Where to write them; files of these names are replaced.
    """
    source = _source()
    paths = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())
    for path in paths:
        if folder is not None:
            _write(folder / path, (source / path).read_bytes())
        sys.stdout.write(f"{shown(str(path if folder is None else folder / path))}\n")
    return 0


def _source() -> Path:
    for place in PLACES:
        if place.is_dir():
            return place
    raise StreamerError(
        where="schemas",
        what="this installation came without them",
        next_step="Install the package as it was built, or run it from a checkout.",
    )


def _write(file: Path, content: bytes) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except (FileExistsError, NotADirectoryError):
        raise SettingsError(
            where=str(file.parent),
            what="it, or what it is in, is a file",
            next_step="Name a folder, which need not exist.",
        ) from None
    except OSError as error:
        raise SettingsError(
            where=str(file),
            what=f"cannot be written: {error.strerror}",
            next_step="Name a folder that we may write to.",
        ) from None
