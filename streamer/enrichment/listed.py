"""Names out of lists that are read, whoever has them read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from streamer.audit.names import Named
from streamer.enrichment.cache import REFRESH_S
from streamer.flatfile.models import Agent, Guest, Space, User
from streamer.flatfile.objects import read_element

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streamer.audit.names import Resolution
    from streamer.enrichment.cache import Cache
    from streamer.flatfile.objects import Element, Kind, ListKey

_VIEWS: Final[Mapping[Kind, type[Agent | Guest | Space | User]]] = {
    "agent": Agent,
    "guest": Guest,
    "space": Space,
    "user": User,
}


class ListedNames:
    """Takes the names of one list into the cache while it is read."""

    def __init__(
        self, which: ListKey, cache: Cache, clock: Callable[[], float], kept_s: float
    ) -> None:
        self._which = which
        self._cache = cache
        self._kept_s = kept_s
        self._began = clock()
        self._evictions = cache.evictions

    @classmethod
    def of(
        cls, which: ListKey, cache: Cache, clock: Callable[[], float], kept_s: float
    ) -> Self | None:
        """Return what takes a list in; None if it has no names that anyone looks up."""
        return cls(which, cache, clock, kept_s) if which.kind in _VIEWS else None

    def take(self, elements: Sequence[Element]) -> None:
        """Hold the names of these."""
        view = _VIEWS[self._which.kind]
        for element in elements:
            found = read_element(element.raw, view)
            if found is not None:
                self._cache.keep(named_of(found), self._kept_s)

    def done(self, *, complete: bool) -> None:
        """Know how old the list is, and whether who is not held is not in it."""
        self._cache.postpone(self._which, REFRESH_S)
        # A guest who left this space may still be one of others.
        if complete and self._which.kind != "guest" and self._cache.evictions == self._evictions:
            self._cache.is_complete(self._which, self._began)


def named_of(found: Agent | Guest | Space | User) -> Named:
    """Return an object's name."""
    match found:
        case User() | Guest():
            return named(found.id, name=found.name, email=found.email)
        case Agent():
            return named(found.id, name=found.slug)
        case Space():
            return named(found.id, name=found.name)


def named(
    id_: str,
    *,
    name: str | None = None,
    email: str | None = None,
    resolution: Resolution = "resolved",
) -> Named:
    """Return what was found out about an id just now."""
    as_of = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Named(id=id_, name=name, email=email, resolution=resolution, as_of=as_of)
