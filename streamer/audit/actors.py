"""Who acts, told from the prefix of an id in any region.

Source: Flatfile's API reference; the region comes first (`us_usr_…`, `eu_g_…`).
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

ActorType: TypeAlias = Literal[
    "user", "guest", "agent", "api_key", "access_token", "system", "unknown"
]

_PREFIX: Final = re.compile(r"[a-z]{2,4}_([a-z]+)_[A-Za-z0-9_-]+")
_TYPES: Final[dict[str, ActorType]] = {
    "usr": "user",
    "g": "guest",
    "ag": "agent",
    "key": "api_key",
    "pat": "access_token",
}

NAMED_TYPES: Final = frozenset[ActorType]({"user", "guest", "agent"})
"""Those whose name can be looked up."""

AUTH_TYPES: Final[dict[ActorType, str]] = {
    "user": "user",
    "access_token": "user",
    "guest": "app_user",
    "agent": "service_account",
    "api_key": "api_key",
    "system": "system",
    "unknown": "unknown",
}
"""What CloudEvents' extension *authcontext* calls them."""


def actor_type(actor_id: str | None) -> ActorType:
    """Return the type of an actor; an event without one was the system's doing."""
    if not actor_id:
        return "system"
    found = _PREFIX.fullmatch(actor_id)
    return _TYPES.get(found[1], "unknown") if found else "unknown"
