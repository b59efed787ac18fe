"""The company whose account the sandbox is: who works there, and where the work lies.

Made once from the seed (`founding`), then changed only through the control endpoints. Objects are
kept as the JSON that the API answers with. Every credential in them contains `PLANTED`, so that a
test can look for what must never leave a reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

MARKER: Final = "PLANTED"
"""Part of every credential in the account: none may be found in anything that a reader writes."""


@dataclass(frozen=True, slots=True)
class Workbook:
    """A workbook of a space, and its sheets as (id, slug)."""

    id: str
    slug: str
    sheets: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Space:
    """A space as the API shows it, and the workbooks that its events are about.

    Attributes:
        gone: Whether it was deleted; its events go on.
    """

    body: dict[str, Any]
    workbooks: tuple[Workbook, ...]
    gone: bool = False

    @property
    def id(self) -> str:
        """The id of the space."""
        return str(self.body["id"])


@dataclass(slots=True)
class Environment:
    """One environment with what belongs to it.

    Attributes:
        number: Its place in the account; part of the ids of its events.
        listed: Whether `GET /environments` shows it.
        forbidden: Whether everything in it answers 403.
        gone: Whether everything in it answers 404.
    """

    number: int
    body: dict[str, Any]
    spaces: list[Space]
    guests: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    listed: bool = True
    forbidden: bool = False
    gone: bool = False

    @property
    def id(self) -> str:
        """The id of the environment."""
        return str(self.body["id"])


@dataclass(slots=True)
class Account:
    """The account: its people, and its environments by id."""

    id: str
    users: list[dict[str, Any]]
    keys: list[str]
    former: list[str]
    environments: dict[str, Environment] = field(default_factory=dict)

    def change(self, object_id: str, changes: dict[str, Any] | None) -> bool:
        """Change members of a user, guest, agent or space, or delete it if there are none.

        Events go on naming what was deleted: they were made before. False if nothing has this id.
        """
        crowds = [self.users]
        for environment in self.environments.values():
            crowds += [environment.guests, environment.agents]
            for space in environment.spaces:
                if space.id == object_id:
                    space.gone = changes is None
                    space.body.update(changes or {})
                    return True
        for crowd in crowds:
            for body in crowd:
                if body["id"] == object_id:
                    body.update(changes or {})
                    if changes is None:
                        crowd.remove(body)
                    return True
        return False
