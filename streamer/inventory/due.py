"""When a list is looked at again. No I/O.

The guests of an account can be listed only space by space. So the guests of a space are asked for
when the space has changed, when its last look needs a second one, and once an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.flatfile.objects import ListKey

GUESTS_EVERY_S: Final = 3600.0
"""How old the list of a space's guests may be while nothing says that it has changed."""

YOUNG_SHARE: Final = 0.5
"""Of the interval between two passes: a list that somebody else had read in this time is not read
again."""

APART_S: Final = 30.0
"""Two looks at a list that follow each other faster may have seen the same moment."""

_NEVER: Final = float("-inf")


class Due:
    """What has been looked at, and when."""

    def __init__(self, interval_s: float, clock: Callable[[], float]) -> None:
        """Begin with everything due.

        Args:
            interval_s: Between two passes.
            clock: Monotonic seconds.
        """
        self._interval_s = interval_s
        self._clock = clock
        self._looked_at: dict[ListKey, float] = {}
        self._again: set[ListKey] = set()

    def is_due(self, which: ListKey) -> bool:
        """Whether a list is to be read in this pass."""
        every_s = GUESTS_EVERY_S if which.kind == "guest" else self._interval_s * YOUNG_SHARE
        age_s = self._clock() - self._looked_at.get(which, _NEVER)
        return which in self._again or age_s >= every_s

    def looked_at(self, which: ListKey) -> float | None:
        """When a list was last looked at; None: not since this worker has had the shard."""
        return self._looked_at.get(which)

    def is_apart(self, which: ListKey) -> bool:
        """Whether a look at a list now is at another moment than the last one."""
        least_s = min(APART_S, self._interval_s * YOUNG_SHARE)
        return self._clock() - self._looked_at.get(which, _NEVER) >= least_s

    def looked(self, which: ListKey) -> None:
        """Take note of a look."""
        self._looked_at[which] = self._clock()
        self._again.discard(which)

    def again(self, which: ListKey) -> None:
        """Have a list read in the next pass, however old it is."""
        self._again.add(which)

    def forget(self, which: ListKey) -> None:
        """Know that there is no such list any more."""
        self._looked_at.pop(which, None)
        self._again.discard(which)
