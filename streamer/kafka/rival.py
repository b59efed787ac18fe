"""Another worker with our `GROUP_INSTANCE_ID`: each one that joins throws the other out, at once.

Left alone the two change places many times a second and nothing gets on. So whoever is thrown out
soon after it was let in stays away for a while, longer each time, and says why.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SOON_S: Final = 30.0
"""A worker that kept its place this long has no rival: it was frozen or cut off, as may happen."""

FIRST_WAIT_S: Final = 1.0

LONGEST_WAIT_S: Final = 30.0


class Rival:
    """Tells a rival from an accident, and how long to leave it the place."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._let_in_at = float("-inf")
        self._in_a_row = 0

    def let_in(self) -> None:
        """Take note that we have a place in the group."""
        self._let_in_at = self._clock()

    def thrown_out(self) -> float:
        """Take note that we lost it; seconds to stay away, 0 for an accident."""
        if self._clock() - self._let_in_at > SOON_S:
            self._in_a_row = 0
            return 0.0
        self._in_a_row += 1
        if self._in_a_row == 1:
            return 0.0
        wait_s = min(FIRST_WAIT_S * 2.0 ** (self._in_a_row - 2), LONGEST_WAIT_S)
        # Two that wait equally long would meet again.
        return wait_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
