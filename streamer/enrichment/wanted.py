"""Which ids of an event have a name, and in which list it is found. No I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from streamer.flatfile.objects import ListKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streamer.audit.normalize import Draft

Kind: TypeAlias = Literal["user", "guest", "agent", "space"]

_PREFIX: Final = re.compile(r"[a-z]{2,4}_([a-z]+)_")
_KINDS: Final[dict[str, Kind]] = {"usr": "user", "g": "guest", "ag": "agent", "sp": "space"}


class Wanted(NamedTuple):
    """An id that a name is wanted for, and where it is listed.

    Attributes:
        within: Of a guest its space, of an agent or a space its environment; None if not known.
    """

    kind: Kind
    id: str
    within: str | None = None

    @property
    def listed_in(self) -> ListKey | None:
        """The list that shows it, if it is known which one that is."""
        if self.kind != "user" and self.within is None:
            return None
        return ListKey(self.kind, self.within)


def kind_of(id_: str) -> Kind | None:
    """What an id names, by its prefix in any region; None if it has no name to look up."""
    found = _PREFIX.match(id_)
    return None if found is None else _KINDS.get(found[1])


def wanted_by(drafts: Sequence[Draft], environment_id: str) -> Iterable[Wanted]:
    """Return whose names the records of one environment's drafts want, none of them twice."""
    wanted: dict[str, Wanted] = {}
    actors = {(draft.actor_id, draft.space_id) for draft in drafts}
    # Those with a space first: a guest who acted outside of one as well is in a space's list.
    for id_, space_id in sorted(actors, key=lambda actor: actor[1] is None):
        _want(wanted, id_, space_id, environment_id)
        _want(wanted, space_id, space_id, environment_id)
    for draft in drafts:
        if draft.target.looked_up:
            _want(wanted, draft.target.id, draft.space_id, environment_id)
    return wanted.values()


def _want(
    wanted: dict[str, Wanted], id_: str | None, space_id: str | None, environment_id: str
) -> None:
    """Add an id whose name can be looked up."""
    if id_ is None or id_ in wanted:
        return
    kind = kind_of(id_)
    if kind == "user":
        wanted[id_] = Wanted(kind, id_)
    elif kind is not None:
        wanted[id_] = Wanted(kind, id_, space_id if kind == "guest" else environment_id)
