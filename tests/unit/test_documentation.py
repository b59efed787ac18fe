"""The README says what the program does, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streamer.cli import COMMANDS
from streamer.config import KafkaSettings
from tests.support.documentation import README, tables, written

ARCHITECTURE: Final = README.parent / "streamer" / "README.md"


def test_every_setting_metric_exit_code_and_command_stands_in_the_readme() -> None:
    """The tables of the README are those that the code makes."""
    text = README.read_text(encoding="utf-8")
    assert text == written(text), "run: .venv/bin/python -m tests.support.documentation"


def test_the_readme_names_no_command_that_does_not_exist() -> None:
    """Every `streamer COMMAND` that the README shows can be called."""
    text = README.read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:\.venv/bin/)?streamer ([a-z-]+)", text))
    assert named <= set(COMMANDS), named - set(COMMANDS)


def test_the_readme_names_no_setting_metric_or_topic_that_does_not_exist() -> None:
    """Whatever is renamed or removed is found in the prose and the examples as well."""
    text = README.read_text(encoding="utf-8")
    known = "".join(tables().values())
    variables = set(re.findall(r"STREAMER_[A-Z]+__[A-Z_]*[A-Z]", text))
    for name in variables | set(re.findall(r"streamer_[a-z_]+", text)):
        assert f"`{name.removesuffix('_FILE')}`" in known, name
    named = re.findall(r"^\| `(flatfile\.[a-z-]+)` \|", text, re.MULTILINE)
    settings = KafkaSettings()
    topics = {getattr(settings, name) for name in dir(settings) if name.endswith("_topic")}
    assert set(named) == topics


def test_every_room_of_the_house_stands_in_the_architecture() -> None:
    """The architecture names each module and package of `streamer`, and none that is not there."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    cells = re.findall(r"^\| (.*?) \|", text, re.MULTILINE)
    named = set(re.findall(r"`([a-z_]+)/?`", "\n".join(cells)))
    rooms = {
        path.stem
        for path in Path(ARCHITECTURE.parent).iterdir()
        if (path.suffix == ".py" and not path.stem.startswith("_"))
        or (path.is_dir() and (path / "__init__.py").exists())
    }
    assert named == rooms, named ^ rooms
