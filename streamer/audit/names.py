"""What was found out about an id: a value, handed in by whoever looks it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Resolution: TypeAlias = Literal["resolved", "not_found", "unresolved", "not_applicable"]
"""`not_found`: deleted since. `unresolved`: the look-up failed. `not_applicable`: has no name."""


@dataclass(frozen=True, slots=True)
class Named:
    """An id with what is known about it.

    Attributes:
        name: A user's or guest's full name, a space's name, an agent's slug.
        as_of: When that was read, RFC 3339 with `Z`.
    """

    id: str
    name: str | None = None
    email: str | None = None
    resolution: Resolution = "unresolved"
    as_of: str | None = None


Names: TypeAlias = Mapping[str, Named]
"""By id. An id that is not in it is `unresolved`."""
