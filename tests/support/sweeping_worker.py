"""A worker for which a day passes in seconds, as far as its sweeps are concerned."""

from __future__ import annotations

from typing import Final

QUICK: Final = {
    "CAPTURE__OVERLAP": "2",
    "CAPTURE__SWEEP_WINDOW": "60",
    "CAPTURE__SWEEP_INTERVAL": "1",
    "CAPTURE__INTERVAL": "0.5",
    "CAPTURE__IDLE_INTERVAL": "0.5",
}
"""Settings under which what is late by a minute is found within seconds."""

_PROGRAM: Final = """
import sys
from datetime import timedelta
from streamer import cli
from streamer.shard import deep_sweeps
deep_sweeps.EVERY = deep_sweeps.TOGETHER = timedelta(seconds={every_s})
deep_sweeps.MOST_RECORDS = {most_records}
deep_sweeps.CHECKED_EVERY_S = 0.5
deep_sweeps.RETRIED_AFTER_S = 0.5
sys.argv = ["streamer", "run"]
cli.main()
"""


def sweeping_worker(*, every_s: float, most_records: int = 1_000_000) -> tuple[str, ...]:
    """Return a program, for `DaemonProcess`, that sweeps deeply every so many seconds.

    Args:
        every_s: What stands for a day.
        most_records: How many are read back for it.
    """
    return ("-c", _PROGRAM.format(every_s=every_s, most_records=most_records))
