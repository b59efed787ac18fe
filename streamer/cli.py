"""The command line: parses, calls one command, and turns errors into a sentence and an exit code.

A command's module is imported when that command is called, so that `--help`, `--version` and a
mistyped option answer at once. What there is to call stands in `COMMANDS`, from which the help is
made as well.

Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from cyclopts import App, CycloptsError, Parameter, UnknownCommandError, UnusedCliTokensError

from streamer.commands.help import AlignedHelp
from streamer.commands.terminal import INTERRUPTED, shown
from streamer.errors import StreamerError

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE: Final = 2
"""Exit code of a command line that cannot be understood."""


class Command(NamedTuple):
    """One command: what it does in a line, and where it is."""

    summary: str
    path: str


COMMANDS: Final = {
    "demo": Command(
        "Account, Kafka and daemon in one, live on screen: the first thing to try.",
        "streamer.commands.demo:demo",
    ),
    "run": Command("The daemon: publishes until it is stopped.", "streamer.commands.run:run"),
    "check": Command(
        "Are settings, credentials, Kafka and topics as `run` needs them?",
        "streamer.commands.check:check",
    ),
    "preview": Command(
        "The next records as they would be published; nothing is written.",
        "streamer.commands.preview:preview",
    ),
    "tail": Command(
        "Published records as sentences; filters, and --follow.", "streamer.commands.tail:tail"
    ),
    "verify": Command(
        "Proves the topics: nothing missing, altered, moved or twice; or says what is.",
        "streamer.commands.verify:verify",
    ),
    "status": Command(
        "Where each environment stands, from the topics alone.",
        "streamer.commands.status:status",
    ),
    "inventory": Command(
        "Spaces, agents, users, guests, environments: what the account holds.",
        "streamer.commands.inventory:app",
    ),
    "dead-letters": Command(
        "What could not become a record: `list`, and the raw bytes with `show`.",
        "streamer.commands.dead_letters:app",
    ),
    "topics": Command(
        "`topics create` makes the topics, `topics check` judges them.",
        "streamer.commands.topics:app",
    ),
    "schemas": Command(
        "JSON Schemas, AsyncAPI, an example of every record: listed, or written.",
        "streamer.commands.schemas:schemas",
    ),
    "config": Command(
        "The settings in effect, and where each comes from; --template for a file.",
        "streamer.commands.config:config",
    ),
    "sandbox": Command(
        "A made-up Flatfile account on this machine.", "streamer.commands.sandbox:sandbox"
    ),
    "broker": Command(
        "A real Apache Kafka on this machine, without Java or Docker.",
        "streamer.commands.broker:broker",
    ),
}

_COLUMN: Final = max(map(len, COMMANDS)) + 2

_LIST: Final = "\n".join(
    f"  {name:<{_COLUMN}}{command.summary}" for name, command in COMMANDS.items()
)

HELP: Final = f"""\
The audit events of a Flatfile account on Kafka: exactly once, in order, provably complete.

streamer reads the events of all environments, finds out who did what, and publishes a record of
each to a Kafka topic, numbered and chained by hash: whoever can read the topic can prove that
nothing in it is missing or altered.

Try it, with nothing but Python (a minute the first time, seconds from then on):

  streamer demo

The same piece by piece, each in a terminal of its own:

  streamer sandbox          a Flatfile account; prints `export` lines for `run`
  streamer broker           a Kafka; prints one more
  streamer run              after those lines
  streamer tail --follow    after that of `broker`: what is being published

Commands (`streamer COMMAND --help` has their options):

{_LIST}

Settings come from the environment (STREAMER_<SECTION>__<FIELD>, such as
STREAMER_KAFKA__BOOTSTRAP_SERVERS) and from a TOML file given with --config FILE; the environment
wins. Any secret may be in a file that a variable STREAMER_<SECTION>__<FIELD>_FILE names.

Exit codes:

  0  done, or stopped in order
  1  anything else, also a stop that was not orderly
  2  usage, settings, a port or a data folder in use
  3  Flatfile refused the credentials at start
  4  Kafka not reached in time, or topics or permissions wrong
  5  the answer of `verify`, `check`, `status` or `demo` is no

Where Ctrl-C ended a command that was not yet done: 130.
"""

NOT_INSTALLED: Final = "(not installed)"
"""Stands for the version where the package runs from its folder, without metadata."""


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 (takes time that only this needs)

    try:
        return f"streamer {metadata.version('streamer')}"
    except metadata.PackageNotFoundError:
        return f"streamer {NOT_INSTALLED}"


def make_app() -> App:
    """The command line, with nothing imported that is not called."""
    app = App(
        "streamer",
        help=HELP,
        help_format="plaintext",
        help_formatter=AlignedHelp(),
        usage="Usage: streamer COMMAND [OPTIONS]",
        version=_version,
        default_parameter=Parameter(negative=""),
        group_parameters="Options",
        suppress_keyboard_interrupt=False,
    )
    for name, command in COMMANDS.items():
        # Not shown by the parser: it would have to import each for its summary.
        app.command(command.path, name=name, show=False)
    for flag in (*app.help_flags, *app.version_flags):
        app[flag].show = False
    return app


def main() -> NoReturn:
    """Run the command that the command line names, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter must not end a command.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(call(sys.argv[1:]))


def call(tokens: Sequence[str]) -> int:
    """Run the command that these tokens name, and return the exit code.

    An exception that comes out of here is a bug, and Python shows it as one (exit code 1).
    """
    try:
        result: Any = make_app()(
            _command_first(tokens),
            print_error=False,
            exit_on_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except CycloptsError as error:
        return _say(_usage(error), USAGE)
    except StreamerError as error:
        return _say(str(error), error.exit_code)
    except ExceptionGroup as group:
        ours, others = group.split(StreamerError)
        if ours is None or others is not None:
            raise
        return _say(str(leaf := _first(ours)), leaf.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _first(error: StreamerError | ExceptionGroup[StreamerError]) -> StreamerError:
    """The first error of a group of tasks."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _command_first(tokens: Sequence[str]) -> list[str]:
    """Let `streamer --config FILE run` mean `streamer run --config FILE`."""
    match list(tokens):
        case ["--config", file, *rest] if rest:
            return [*rest, "--config", file]
        case [option, *rest] if option.startswith("--config=") and rest:
            return [*rest, option]
        case unchanged:
            return unchanged


def _usage(error: CycloptsError) -> str:
    tokens = error.unused_tokens or [""]
    if isinstance(error, UnusedCliTokensError):
        sentence = f'Nothing is expected where "{" ".join(tokens)}" stands.'
    elif isinstance(error, UnknownCommandError) and error.app is not None:
        # The parser's own sentence would import every command first.
        close = get_close_matches(tokens[0], list(error.app), n=1)
        suggestion = f' Did you mean "{close[0]}"?' if close else ""
        sentence = f'There is no command "{tokens[0]}".{suggestion}'
    else:
        sentence = " ".join(str(error).split())
        sentence += "" if sentence.endswith((".", "?")) else "."
    chain = " ".join(error.command_chain or ())
    return f"{sentence} See `streamer {f'{chain} ' if chain else ''}--help`."


def _say(sentence: str, exit_code: int) -> int:
    sys.stderr.write(f"streamer: {shown(sentence)}\n")
    return exit_code
