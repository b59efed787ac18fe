"""Whether an environment is there for us: what answers 404 for a while is left to rest.

Pure: the clock is handed in. A single 404 means little, because a proxy or a deployment may answer
so for a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamer.errors import FlatfileError, FlatfileForbiddenError, FlatfileNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.telemetry.board import EnvironmentState

RESTS_AFTER_S: Final = 300.0
"""An environment that has answered nothing but 404 for so long rests."""

RESTING_INTERVAL_S: Final = 600.0
"""Between two looks at an environment that rests."""


class Presence:
    """How one environment answers.

    Attributes:
        state: By its last answer; what is no answer (an outage) changes nothing.
    """

    def __init__(self, state: EnvironmentState, *, clock: Callable[[], float]) -> None:
        """Begin with what a checkpoint says.

        Args:
            state: As it was then.
            clock: Seconds, monotonic.
        """
        self.state = state
        self._clock = clock
        self._missing_since_s: float | None = None

    @property
    def is_resting(self) -> bool:
        """Whether it has been gone for long."""
        return self.state == "resting"

    @property
    def wait_s(self) -> float:
        """The least wait until the next look; 0 leaves it to the schedule."""
        return RESTING_INTERVAL_S if self.is_resting else 0.0

    def answered(self) -> None:
        """Note that it could be read."""
        self.state = "polled"
        self._missing_since_s = None

    def failed(self, error: FlatfileError) -> None:
        """Note that it could not be read, and why."""
        if isinstance(error, FlatfileForbiddenError):
            self.state = "forbidden"
            self._missing_since_s = None
        elif isinstance(error, FlatfileNotFoundError) and not self.is_resting:
            now_s = self._clock()
            if self._missing_since_s is None:
                self._missing_since_s = now_s
            is_long = now_s - self._missing_since_s >= RESTS_AFTER_S
            self.state = "resting" if is_long else "polled"
