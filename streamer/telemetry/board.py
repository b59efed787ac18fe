"""How each shard and each environment of this worker is at the moment.

Written by whoever does the work, read by `/readyz`, `/metrics` and the live view. It tells silence
from blindness: a quiet environment has an old watermark, a blind one an old last poll.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

ShardState = Literal["assigned", "restoring", "running", "draining", "fenced", "stopped"]
EnvironmentState = Literal["polled", "forbidden", "resting"]


@dataclass(slots=True)
class EnvironmentStatus:
    """One environment that this worker reads.

    Attributes:
        polled: Loop-independent monotonic seconds of the end of the last complete look, or of when
            this worker took the environment over.
        is_gone: Answers 404, and the account does not list it: not blindness, though it does not
            rest yet.
        watermark: Everything visible with `createdAt` up to here is published; server's time.
    """

    id: str
    name: str
    shard: int
    state: EnvironmentState = "polled"
    polled: float = field(default_factory=time.monotonic)
    is_gone: bool = False
    watermark: datetime | None = None
    sequence: int = 0
    records: int = 0

    @property
    def should_be_polled(self) -> bool:
        """Whether it counts as blindness if nobody has looked: it is neither refused nor gone."""
        return self.state == "polled" and not self.is_gone

    @property
    def since_poll_s(self) -> float:
        """Seconds since the last complete look ended."""
        return time.monotonic() - self.polled


class Board:
    """All that this worker has, by shard and environment.

    Attributes:
        refusals: By shard, what its log says against what we were told: a person must act.
    """

    def __init__(self) -> None:
        self.shards: dict[int, ShardState] = {}
        self.environments: dict[str, EnvironmentStatus] = {}
        self.refusals: dict[int, str] = {}
        self.joined = False
        self.trouble: str | None = None

    def stalled(self, after_s: float) -> Iterable[EnvironmentStatus]:
        """The environments that were not polled with success for longer than `after_s`."""
        return [
            status
            for status in self.environments.values()
            if status.should_be_polled and status.since_poll_s > after_s
        ]

    def drop_shard(self, shard: int) -> None:
        """Forget a shard that was given back, and its environments."""
        self.shards.pop(shard, None)
        self.refusals.pop(shard, None)
        for key in [key for key, value in self.environments.items() if value.shard == shard]:
            del self.environments[key]
