"""What is published of a shard's objects, and what a look at a list changes in that. Pure.

An object is known by the lists that show it: a guest by those of all its spaces, every other kind
by one. It is gone when none of them shows it, each time in two complete looks in a row: a page that
moved while the list was read can hide what is there, and does so from all who read it just then. A
list that failed, or was not all that there is, is no look.

What is here runs ahead of the topic by what has been handed out and is not committed yet; if that
fails, all of it is thrown away and read back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from streamer.flatfile.lists import ENVIRONMENTS, USERS
from streamer.flatfile.objects import Kind, ListKey
from streamer.inventory.message import decode, encode, key_of, read_key
from streamer.inventory.things import sent_as, spaces_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from streamer.audit.privacy import Privacy
    from streamer.flatfile.objects import Element
    from streamer.inventory.message import Message
    from streamer.inventory.things import Thing

LOOKS: Final = 2
"""Complete looks in a row that do not show an object, before it is gone."""

What: TypeAlias = Literal["appeared", "changed", "gone"]

_Key: TypeAlias = tuple[Kind, str]


class Change(NamedTuple):
    """A message to be published.

    Attributes:
        value: None: a tombstone.
    """

    key: bytes
    value: bytes | None
    kind: Kind
    what: What


@dataclass(slots=True)
class _Entry:
    """An object that is published.

    Attributes:
        sent_as: Of the bytes that it was last seen as; None: not seen since it was read back.
        missed: By list that shows it: in how many looks it did not.
    """

    fingerprint: str
    first_seen: str
    environment_id: str | None
    sent_as: int | None
    missed: dict[ListKey, int] = field(default_factory=dict)


class Table:
    """The objects of one shard."""

    def __init__(self, account_id: str, privacy: Privacy) -> None:
        self._account_id = account_id
        self._privacy = privacy
        self._entries: dict[_Key, _Entry] = {}
        self._shown_in: defaultdict[ListKey, set[_Key]] = defaultdict(set)

    @property
    def environments(self) -> set[str]:
        """The environments that objects are in."""
        return {entry.environment_id for entry in self._entries.values() if entry.environment_id}

    def has(self, kind: Kind, id_: str) -> bool:
        """Whether an object is published."""
        return (kind, id_) in self._entries

    def environment_of(self, kind: Kind, id_: str) -> str | None:
        """Where an object is, if it is published and in an environment."""
        entry = self._entries.get((kind, id_))
        return None if entry is None else entry.environment_id

    def shown_in(self, which: ListKey) -> list[str]:
        """The ids of what a list shows, also of what its last look did not."""
        return sorted(id_ for _, id_ in self._shown_in.get(which, ()))

    def is_doubtful(self, which: ListKey) -> bool:
        """Whether the last look at a list did not show something that the one before did."""
        return any(self._entries[key].missed[which] for key in self._shown_in.get(which, ()))

    def restore(self, key: bytes, value: bytes | None) -> None:
        """Take a message of the topic, in the order of the topic."""
        known = read_key(key)
        if known is None:
            return
        self._remove(known)
        message = None if value is None else decode(value)
        if message is None:
            # A tombstone, or something that is written anew.
            return
        entry = _Entry(message.fingerprint, message.first_seen, message.environment_id, None)
        self._entries[known] = entry
        for which in _lists_of(message):
            self._put(known, entry, which)

    def has_as(self, which: ListKey, element: Element) -> bool:
        """Take what a list shows, if it is as it was: whether there is no more to do about it."""
        key = (which.kind, element.id)
        entry = self._entries.get(key)
        if entry is None or entry.sent_as != sent_as(element):
            return False
        self._put(key, entry, which)
        return True

    def take(
        self, which: ListKey, thing: Thing, at: str, *, observed_only: bool | None
    ) -> Change | None:
        """Take what a list shows of an object.

        Args:
            which: The list.
            thing: The object.
            at: When it was listed, RFC 3339.
            observed_only: Whether no event tells of it, should this be a change.

        Returns:
            What is to be published; None if that is known.
        """
        key = (thing.kind, thing.id)
        before = self._entries.get(key)
        if before is not None and before.fingerprint == thing.fingerprint:
            before.sent_as = thing.sent_as
            self._put(key, before, which)
            return None
        entry = _Entry(
            thing.fingerprint,
            at if before is None else before.first_seen,
            thing.environment_id,
            thing.sent_as,
            {} if before is None else before.missed,
        )
        self._entries[key] = entry
        self._put(key, entry, which)
        value = encode(
            thing,
            account_id=self._account_id,
            privacy=self._privacy,
            first_seen=entry.first_seen,
            last_seen=at,
            observed_only=observed_only,
        )
        return Change(key_of(*key), value, thing.kind, "appeared" if before is None else "changed")

    def end(self, which: ListKey, shown: Collection[str], *, is_apart: bool) -> list[Change]:
        """Know that a list was looked at, and that what it did not show is not in it.

        Args:
            which: The list.
            shown: The ids that it showed, also of what could not be read.
            is_apart: Whether the look before was at another moment, so that this is a second one.
        """
        gone: list[Change] = []
        for key in sorted(self._shown_in.get(which, ())):
            missed = self._entries[key].missed
            if key[1] in shown:
                missed[which] = 0
            elif is_apart or not missed[which]:
                missed[which] += 1
            if missed[which] >= LOOKS:
                gone += self._leave(key, which)
        return gone

    def close(self, which: ListKey) -> list[Change]:
        """Know that there is no such list any more."""
        return [
            change
            for key in sorted(self._shown_in.get(which, ()))
            for change in self._leave(key, which)
        ]

    def unknown_spaces(self, environment_id: str) -> list[ListKey]:
        """The lists of guests that are of no space that is published.

        A guest that was read back from the topic may name such a space.
        """
        return sorted(
            {
                which
                for (kind, _), entry in self._entries.items()
                if kind == "guest" and entry.environment_id == environment_id
                for which in entry.missed
                if ("space", which.within) not in self._entries
            }
        )

    def _put(self, key: _Key, entry: _Entry, which: ListKey) -> None:
        entry.missed[which] = 0
        self._shown_in[which].add(key)

    def _leave(self, key: _Key, which: ListKey) -> Iterable[Change]:
        """Take an object out of a list; it is gone if that was the last one."""
        entry = self._entries[key]
        del entry.missed[which]
        self._shown_in[which].discard(key)
        if not entry.missed:
            del self._entries[key]
            yield Change(key_of(*key), None, key[0], "gone")

    def _remove(self, key: _Key) -> None:
        entry = self._entries.pop(key, None)
        for which in entry.missed if entry is not None else ():
            self._shown_in[which].discard(key)


def _lists_of(message: Message) -> list[ListKey]:
    """The lists that have shown an object, as far as its message tells."""
    match message.kind:
        case "environment":
            return [ENVIRONMENTS]
        case "user":
            return [USERS]
        case "space" | "agent":
            return [ListKey(message.kind, message.environment_id)]
        case "guest":
            # One who names none is held by a list that does not exist, until one shows it.
            spaces = spaces_of(message.object) or ("",)
            return [ListKey("guest", space) for space in spaces]
