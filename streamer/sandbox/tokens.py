"""Access tokens: issued for the key pair, good for a while, or revoked before."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from streamer.sandbox.account import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable


class Tokens:
    """The tokens that are good right now."""

    def __init__(self) -> None:
        self._ends_ms: dict[str, float] = {}

    def issue(self, now_ms: int, lifetime_s: float) -> tuple[str, int]:
        """Return a new token and when it ends."""
        for token in [token for token, end in self._ends_ms.items() if end <= now_ms]:
            del self._ends_ms[token]
        token = f"sandbox_{MARKER}_{secrets.token_urlsafe(24)}"
        end_ms = now_ms + int(lifetime_s * 1000)
        self._ends_ms[token] = end_ms
        return token, end_ms

    def accepts(self, header: str | None, now_ms: int, permanent: Iterable[str]) -> bool:
        """Tell whether an `Authorization` header carries a token that is good."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        return token in permanent or self._ends_ms.get(token, 0) > now_ms

    def revoke(self) -> int:
        """Make every issued token worthless, and return how many there were."""
        count = len(self._ends_ms)
        self._ends_ms.clear()
        return count
