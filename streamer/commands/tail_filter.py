"""Which records `tail` shows. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

Record = dict[str, Any]
"""A record's members."""

_ENVIRONMENT_ID: Final = re.compile(r"[a-z]{2,4}_env_[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a record must be; what is None is not asked.

    Attributes:
        environment: Its id, or its name.
        space: Likewise.
        action: A pattern, such as `workbook:*`.
        actor: Part of the actor's id, name or e-mail address.
        since: The event happened then or later. A record without a time counts as from when it was
            observed.
        until: The event happened before.
        from_sequence: Its environment's count is there or later.
    """

    environment: str | None = None
    space: str | None = None
    action: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    from_sequence: int | None = None

    @property
    def asks_nothing(self) -> bool:
        """Whether every record passes, also one that cannot be read."""
        return self == Filter()

    @property
    def environment_id(self) -> str | None:
        """The environment's id, if it is given by that."""
        given = self.environment
        return given if given is not None and _ENVIRONMENT_ID.fullmatch(given) else None

    def passes(self, record: Record) -> bool:
        """Whether the record is one of those asked for."""
        return (
            is_named(self.environment, part(record, "environment"))
            and is_named(self.space, part(record, "space"))
            and (self.action is None or fnmatchcase(str(record.get("action", "")), self.action))
            and self._by_actor(part(record, "actor"))
            and self._in_time(record)
            and (self.from_sequence is None or _sequence(record) >= self.from_sequence)
        )

    def _by_actor(self, actor: Mapping[str, Any]) -> bool:
        if self.actor is None:
            return True
        wanted = self.actor.casefold()
        return any(
            wanted in str(actor.get(name, "")).casefold() for name in ("id", "name", "email")
        )

    def _in_time(self, record: Record) -> bool:
        if self.since is None and self.until is None:
            return True
        at = happened_at(record)
        return (
            at is not None
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )


def happened_at(record: Record) -> datetime | None:
    """When the event happened; if it does not say, when it was observed."""
    for name in ("time", "observed"):
        try:
            at = datetime.fromisoformat(record[name])
        except (KeyError, TypeError, ValueError):
            continue
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return None


def part(record: Record, name: str) -> Mapping[str, Any]:
    """A member that is an object; empty if it is not there, or something else."""
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def is_named(wanted: str | None, entity: Mapping[str, Any]) -> bool:
    """Whether an environment or a space is the one that is meant; None: any is."""
    if wanted is None or wanted == entity.get("id"):
        return True
    return wanted.casefold() == str(entity.get("name", "")).casefold()


def _sequence(record: Record) -> int:
    sequence = record.get("sequence")
    return sequence if isinstance(sequence, int) else 0
