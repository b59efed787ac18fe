"""Where a broker stands while it starts: said by it, drawn by whoever started it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What the start is at. Only STARTING and READY are part of every start."""

    FETCHING = "fetching Apache Kafka"
    STOPPING_LEFTOVER = "stopping a broker that was left behind"
    FORMATTING = "making a new data folder"
    STARTING = "starting Apache Kafka"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Progress:
    """One step. The numbers are those of FETCHING, and 0 in the other stages."""

    stage: Stage
    files_done: int = 0
    files_total: int = 0
    fetched_bytes: int = 0


ProgressListener = Callable[[Progress], None]
"""Called in the event loop; must return at once."""


def ignore_progress(_progress: Progress) -> None:
    """The listener of whoever does not want to know."""
