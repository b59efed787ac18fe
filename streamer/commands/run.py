"""`streamer run`: the daemon in the foreground, until SIGTERM or Ctrl-C.

Away from a terminal every line on standard error is JSON, the last one too: what ends the daemon
is a line like any other, so that nobody's log collector has to parse sentences.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import structlog

from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.stopping import stop_on_signals
from streamer.config import load_settings
from streamer.daemon import Daemon
from streamer.errors import StreamerError
from streamer.telemetry import logs

if TYPE_CHECKING:
    from streamer.config import LogSettings

log = structlog.get_logger()


async def run(*, config: ConfigFile = None) -> int:
    """Publish the account's events until SIGTERM or Ctrl-C. Several workers share the work.

    On a signal the running transactions end and the shards are handed over; the exit code is 0 only
    if all of that was orderly. It may be killed at any time: the next start reads from Kafka where
    to go on, loses nothing and repeats nothing.

    Args:
        config: TOML file with settings.
    """
    settings = load_settings(config)
    logs.configure(settings.log)
    stop = stop_on_signals()
    try:
        await Daemon(settings).run(stop)
    except StreamerError as error:
        if not _in_json(settings.log):
            raise
        log.error("daemon.ended", reason=str(error), exit_code=error.exit_code)  # noqa: TRY400
        return error.exit_code
    except Exception:
        if not _in_json(settings.log):
            raise
        log.critical("daemon.crashed", exc_info=True)
        return 1
    return 0


def _in_json(settings: LogSettings) -> bool:
    return settings.format == "json" or (settings.format is None and not sys.stderr.isatty())
