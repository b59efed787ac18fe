"""Which faults befall workers and brokers, and when: made up from a seed, without any I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

SESSION_TIMEOUT_S: Final = 3.0
"""Of the workers: a paused one loses its shards after this time."""


class Kind(Enum):
    """What happens to one worker, or to one broker."""

    KILL_WORKER = "kill -9 of a worker"
    STOP_WORKER = "graceful stop of a worker"
    FREEZE_WORKER = "worker paused past its session time-out"
    KILL_BROKER = "kill -9 of a broker"


A_MINUTE: Final = {
    Kind.KILL_WORKER: 106 / 28,
    Kind.STOP_WORKER: 27 / 28,
    Kind.FREEZE_WORKER: 16 / 28,
    Kind.KILL_BROKER: 22 / 28,
}
"""How many of each there are; at least one. In half an hour, with what comes before and after them,
there is time for 28 minutes of faults."""

_LASTS_S: Final = {
    Kind.KILL_WORKER: (0.0, 2.0),
    Kind.STOP_WORKER: (0.0, 2.0),
    # From a pause that is noticed just now to one in which all others have gone on for long.
    Kind.FREEZE_WORKER: (SESSION_TIMEOUT_S + 0.5, SESSION_TIMEOUT_S + 6.0),
    Kind.KILL_BROKER: (0.0, 4.0),
}
"""Seconds until what was hit is started again, or goes on."""


class Fault(NamedTuple):
    """One fault.

    Attributes:
        at_s: When, since the beginning.
        kind: What happens.
        lasts_s: Until it is mended.
        target: Decides who is hit, of those that nothing happens to at the time; from 0 to 1.
    """

    at_s: float
    kind: Kind
    lasts_s: float
    target: float


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """How long, and amid how much.

    Attributes:
        seed: Of the faults.
        duration_s: From the first fault to the last.
        events: The backlog.
        rate: Live events a second.
        catch_up_s: How long the workers may take to finish once all is mended.
    """

    seed: int
    duration_s: float
    events: int
    rate: float
    catch_up_s: float
    workers: int = 3
    environments: int = 12

    def faults(self) -> list[Fault]:
        """All faults, in the order of time; they may overlap."""
        chance = random.Random(self.seed)  # noqa: S311 - moments, no secrets
        found = [
            Fault(
                chance.uniform(0.0, self.duration_s),
                kind,
                chance.uniform(*_LASTS_S[kind]),
                chance.random(),
            )
            for kind, a_minute in A_MINUTE.items()
            for _ in range(max(1, round(a_minute * self.duration_s / 60.0)))
        ]
        return sorted(found, key=lambda fault: fault.at_s)
