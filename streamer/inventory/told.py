"""Which objects events have told of, so that a change that none told of shows as such. No I/O.

A hint, for people: an event may become visible after the change that it tells of was seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from streamer.flatfile.objects import ListKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streamer.audit.normalize import Draft

REMEMBERED: Final = 20_000
"""Objects that events have told of; those that were told of longest ago leave first."""

MARGIN_S: Final = 60.0
"""An event that was read this long before the last look may tell of what only the next one shows:
an API can show an event before the list that it changed."""

_KINDS: Final = frozenset(("agent", "environment", "space"))

_NEVER: Final = float("-inf")


class Told:
    """What the events of one worker have told of, and when they were read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nothing; `clock` tells monotonic seconds."""
        self._clock = clock
        self._at: LRUCache[str | ListKey, float] = LRUCache(REMEMBERED)

    def note(self, drafts: Iterable[Draft]) -> None:
        """Take note of what these events are about."""
        now = self._clock()
        for draft in drafts:
            target = draft.target
            if draft.topic.target == "guest" and draft.space_id is not None:
                self._at[ListKey("guest", draft.space_id)] = now
            elif target.type in _KINDS and draft.topic.category == target.type and target.id:
                self._at[target.id] = now

    def has_told_of(self, which: ListKey, id_: str, since: float) -> bool:
        """Whether an event has told of an object of a list, or of the list, since a look at it."""
        latest = max(self._at.get(id_, _NEVER), self._at.get(which, _NEVER))
        return latest >= since - MARGIN_S

    def has_changed(self, which: ListKey, since: float) -> bool:
        """Whether an event has said, since a look at a list, that the list has changed."""
        return self._at.get(which, _NEVER) > since
