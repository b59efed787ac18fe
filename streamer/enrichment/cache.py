"""The names that are held, how old they are, and which lists they were read from. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache, TLRUCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.audit.names import Named
    from streamer.flatfile.objects import ListKey

LIFETIME_S: Final = 300.0
"""How old a name may be: after that a page waits for the new one, so that a user who is renamed at
Flatfile is renamed in records after at most this time."""

REFRESH_S: Final = 240.0
"""How old a name or a list is when its next use has it read anew, with nobody waiting for it."""

ENTRIES: Final = 150_000
"""Names that are held; the least recently used leave first. About 0.3 KB each."""

LISTS: Final = 20_000
"""Lists (one an environment or space) whose age is remembered."""

_NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Entry:
    """A name.

    Attributes:
        refreshed_at: When its next use has it read anew.
        old_at: When it is used only if there is nothing newer in time.
    """

    named: Named
    refreshed_at: float
    old_at: float
    kept_until: float


class Cache:
    """Names by id, and when the lists that they are in were read."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nothing; `clock` tells monotonic seconds."""
        self._clock = clock
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            ENTRIES, ttu=lambda _, entry, __: entry.kept_until, timer=clock
        )
        self._due: LRUCache[ListKey, float] = LRUCache(LISTS)
        self._complete: LRUCache[ListKey, float] = LRUCache(LISTS)
        self._evictions = 0

    def __len__(self) -> int:
        return int(self._entries.currsize)

    @property
    def evictions(self) -> int:
        """How often a name had to leave for another one."""
        return self._evictions

    def get(self, id_: str) -> Entry | None:
        """Return what is known of an id."""
        return self._entries.get(id_)

    def keep(self, named: Named, kept_s: float) -> None:
        """Hold a name that was just read."""
        now = self._clock()
        if self._entries.currsize >= ENTRIES and named.id not in self._entries:
            # Somebody leaves for it: that an id is not held no longer means that no list shows it.
            self._evictions += 1
            self._complete.clear()
        self._entries[named.id] = Entry(named, now + REFRESH_S, now + LIFETIME_S, now + kept_s)

    def use_again(self, id_: str, for_s: float) -> bool:
        """Use an old name for a while, because nothing newer can be had. False: there is none."""
        entry = self._entries.get(id_)
        if entry is None:
            return False
        again_at = self._clock() + for_s
        self._entries[id_] = replace(entry, refreshed_at=again_at, old_at=again_at)
        return True

    def is_due(self, which: ListKey) -> bool:
        """Whether a list is to be read before anything in it is asked for alone."""
        return self._clock() >= self._due.get(which, _NEVER)

    def postpone(self, which: ListKey, for_s: float) -> None:
        """Have a list not read for a while."""
        self._due[which] = self._clock() + for_s

    def complete_at(self, which: ListKey) -> float:
        """Since when a list shows everything that is in it, and all of that is held here."""
        return self._complete.get(which, _NEVER)

    def is_complete(self, which: ListKey, read_at: float) -> None:
        """Take note that all of a list is held."""
        self._complete[which] = read_at
