"""Log lines, as whoever looks at them in a terminal gets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from typing import Final

import pytest

from tests.support.streamer_command import environment

HOSTILE: Final = "Prämien\n\x1b[2J\x9b2J\x7f\u202eevil\u2066\u200b\u2028\ufeff\U000e0041 保険 👩‍⚕"
"""A name with a C0 and a C1 command, DEL, bidi, invisible, a line break, a tag, and letters."""

COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
"""What our own lines have of commands to a terminal."""

PROGRAM: Final = """
import logging, sys
import structlog
from streamer.config import LogSettings
from streamer.telemetry.logs import configure
configure(LogSettings(format=sys.argv[1]))
name = sys.argv[2].encode("ascii").decode("unicode_escape")
structlog.get_logger().info("environments.appeared", name=name)
logging.getLogger("aiokafka").warning("topic %s", name)
"""


def _lines(form: str, name: str) -> list[str]:
    """What is logged of a name by us, and by a library."""
    name = name.encode("ascii", "backslashreplace").decode()
    return (
        subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", PROGRAM, form, name],
            env=environment() | {"PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        )
        .stderr.decode()
        .strip("\n")
        .split("\n")
    )


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("name", [HOSTILE, HOSTILE.replace(" ", "").replace("\n", "")])
def test_what_a_terminal_would_obey_is_escaped(form: str, name: str) -> None:
    """Each line is one line, with nothing in it but letters; real letters stay as they are."""
    lines = _lines(form, name)
    assert len(lines) == 2
    for line in lines:
        said = COLOUR.sub("", line) if form == "console" else line
        assert not [each for each in said if unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"}]
        assert "Prämien\\" in line
        assert "保険" in line


def test_json_keeps_every_character() -> None:
    """What is escaped comes back when the line is read: nothing of a name is lost."""
    ours, library = map(json.loads, _lines("json", HOSTILE))
    assert ours["name"] == HOSTILE
    assert library["text"] == f"topic {HOSTILE}"
