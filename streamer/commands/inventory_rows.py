"""Objects of the account -> rows for people: pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from streamer.commands.sheet import Column, Sheet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from streamer.inventory.message import Message

CODE_LETTERS: Final = 10
"""Of the digest of an agent's source: enough to tell one from another at a glance."""

_NOBODY: Final = ""


class Rows:
    """Makes sheets of what was found.

    Args:
        found: Objects of the kinds that the sheets need.
        now: What ages are counted from.
    """

    def __init__(self, found: Sequence[Message], now: datetime) -> None:
        self._by_kind: defaultdict[str, list[Message]] = defaultdict(list)
        self._now = now
        self._names: dict[str, str] = {}
        for one in found:
            self._by_kind[one.kind].append(one)
            self._names[one.id] = name_of(one)
        places = self._by_kind["environment"]
        known = Counter(map(name_of, places))
        # Nothing keeps two environments from having one name, and they are not to be one.
        self._names |= {
            one.id: f"{name_of(one)} ({one.id})" for one in places if known[name_of(one)] > 1
        }

    def environments(self, chosen: Sequence[Message]) -> Sheet:
        """Environments, and how many spaces, agents and guests each has."""
        kinds = ("space", "agent", "guest")
        counts = {
            kind: Counter(one.environment_id for one in self._by_kind[kind]) for kind in kinds
        }
        rows = [
            [
                name_of(one),
                one.id,
                "yes" if one.object.get("isProd") is True else "",
                *(f"{counts[kind][one.id]:,}" for kind in kinds),
                _day(one.first_seen),
            ]
            for one in sorted(chosen, key=self._order)
        ]
        ids = {one.id for one in chosen}
        sums = [sum(n for id_, n in counts[kind].items() if id_ in ids) for kind in kinds]
        return Sheet(
            (
                Column("environment"),
                Column("id", is_whole=True),
                Column("production"),
                *(Column(f"{kind}s", justify="right") for kind in kinds),
                Column("first seen", is_wide=True, is_whole=True),
            ),
            rows,
            [f"total of {len(rows):,}", "", "", *(f"{each:,}" for each in sums), ""],
        )

    def spaces(self, chosen: Sequence[Message]) -> Sheet:
        """Spaces, by environment."""
        return Sheet(
            (
                Column("environment"),
                Column("space"),
                Column("id", is_whole=True),
                Column("state"),
                Column("created", is_wide=True, is_whole=True),
                Column("created by", is_wide=True),
                Column("last activity", is_wide=True, is_whole=True),
                Column("unreported", is_wide=True),
            ),
            [
                [
                    self._place(one),
                    name_of(one),
                    one.id,
                    _state(one),
                    _day(one.object.get("createdAt")),
                    _text(one.object.get("createdByUserName")),
                    _day(one.object.get("lastActivityAt")),
                    _mark(one),
                ]
                for one in sorted(chosen, key=self._order)
            ],
        )

    def space_counts(self, chosen: Sequence[Message]) -> Sheet:
        """How many spaces each environment has, and all together."""
        every, archived = Counter[str](), Counter[str]()
        for one in chosen:
            every[self._place(one)] += 1
            archived[self._place(one)] += _state(one) == "archived"
        return Sheet(
            (
                Column("environment"),
                Column("spaces", justify="right"),
                Column("of them archived", justify="right"),
            ),
            [[name, f"{every[name]:,}", f"{archived[name]:,}"] for name in sorted(every)],
            ["total", f"{every.total():,}", f"{archived.total():,}"],
        )

    def matrix(self, chosen: Sequence[Message]) -> tuple[list[str], dict[str, set[str]]]:
        """The environments, and by name of a space those that have one of that name."""
        named: defaultdict[str, set[str]] = defaultdict(set)
        for one in chosen:
            named[name_of(one)].add(self._place(one))
        return sorted(set().union(*named.values())), dict(sorted(named.items()))

    def agents(self, chosen: Sequence[Message]) -> Sheet:
        """Agents, by environment, and whether their code is the same where they have one name."""
        codes: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for one in self._by_kind["agent"]:
            codes[name_of(one)][self._place(one)].add(_code(one))
        return Sheet(
            (
                Column("environment"),
                Column("agent"),
                Column("id", is_whole=True),
                Column("topics"),
                Column("age", justify="right", is_whole=True),
                Column("code", is_wide=True, is_whole=True),
                Column("same code"),
                Column("unreported", is_wide=True),
            ),
            [
                [
                    self._place(one),
                    name_of(one),
                    one.id,
                    ", ".join(map(_text, _list(one.object.get("topics")))),
                    self._age(one),
                    _code(one)[:CODE_LETTERS],
                    _same(_code(one), codes[name_of(one)]),
                    _mark(one),
                ]
                for one in sorted(chosen, key=self._order)
            ],
        )

    def users(self, chosen: Sequence[Message]) -> Sheet:
        """Users of the account."""
        return Sheet(
            (
                Column("user"),
                Column("e-mail"),
                Column("id", is_whole=True),
                Column("created", is_wide=True, is_whole=True),
                Column("last seen", is_wide=True, is_whole=True),
                Column("first listed", is_wide=True, is_whole=True),
            ),
            [
                [
                    name_of(one),
                    _text(one.object.get("email")),
                    one.id,
                    _day(one.object.get("createdAt")),
                    _day(one.object.get("lastSeenAt")),
                    _day(one.first_seen),
                ]
                for one in sorted(chosen, key=self._order)
            ],
        )

    def guests(self, chosen: Sequence[Message]) -> Sheet:
        """Guests, and the spaces that they can reach."""
        return Sheet(
            (
                Column("guest"),
                Column("e-mail"),
                Column("id", is_wide=True, is_whole=True),
                Column("environment"),
                Column("spaces"),
                Column("created", is_wide=True, is_whole=True),
                Column("unreported", is_wide=True),
            ),
            [
                [
                    name_of(one),
                    _text(one.object.get("email")),
                    one.id,
                    self._place(one),
                    ", ".join(sorted(self._names.get(id_, id_) for id_ in reach(one))),
                    _day(one.object.get("createdAt")),
                    _mark(one),
                ]
                for one in sorted(chosen, key=self._order)
            ],
        )

    def _place(self, one: Message) -> str:
        """The name of an object's environment; its id where that is not known."""
        id_ = one.environment_id or _NOBODY
        return self._names.get(id_) or id_

    def _order(self, one: Message) -> tuple[str, str, str]:
        return self._place(one).casefold(), name_of(one).casefold(), one.id

    def _age(self, one: Message) -> str:
        at = _moment(one.object.get("updatedAt")) or _moment(one.object.get("createdAt"))
        if at is None:
            return ""
        age = max(self._now - at, timedelta())
        return f"{age.days} d" if age.days else f"{age.seconds // 3600} h"


def name_of(one: Message) -> str:
    """What people call an object: its name, slug or address; its id, if it has none."""
    names = (one.object.get(member) for member in ("name", "slug", "email"))
    return next((name for name in names if isinstance(name, str) and name), one.id)


def reach(guest: Message) -> list[str]:
    """The ids of the spaces that a guest can reach."""
    spaces = _list(guest.object.get("spaces"))
    return [str(space["id"]) for space in spaces if isinstance(space, dict) and "id" in space]


def _state(space: Message) -> str:
    if space.object.get("archivedAt"):
        return "archived"
    return "expired" if space.object.get("expiredAt") else "open"


def _mark(one: Message) -> str:
    return "yes" if one.observed_only else ""


def _code(agent: Message) -> str:
    source = agent.object.get("source")
    return _text(source.get("sha256")) if isinstance(source, dict) else ""


def _same(code: str, places: Mapping[str, Collection[str]]) -> str:
    """In how many of the environments that have such an agent its code is this one."""
    if not code:
        return ""
    same = sum(code in codes for codes in places.values())
    return f"{same} of {len(places)}"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    return at if at.tzinfo else None


def _day(value: object) -> str:
    at = _moment(value)
    return "" if at is None else f"{at:%Y-%m-%d}"
