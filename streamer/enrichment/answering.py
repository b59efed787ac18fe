"""Whether the API answers when it is asked for names of one kind. No I/O, no clock of its own."""

from __future__ import annotations

import random
from typing import Final, TypeVar

FAILED_S: Final = 5.0
"""How long a failed look-up is not repeated, of a name or of a list."""

TRIED_AT_ONCE: Final = 8
"""Look-ups that try whether the API answers again."""

T = TypeVar("T")


class Answering:
    """What is known of one kind: users may be listed while guests are not.

    Attributes:
        answers: How often it has answered.
        is_alive: Whether it makes sense that a page waits for an answer.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.is_alive = True
        self._tried_again_at = 0.0

    def has_answered(self) -> None:
        """Take note of an answer, also of one that says: not found."""
        self.answers += 1
        self.is_alive = True

    def is_silent(self, now: float) -> None:
        """Let nobody wait until there is an answer."""
        if self.is_alive:
            self.is_alive = False
            self._tried_again_at = now + FAILED_S

    def worth_asking(self, wanted: list[T], now: float) -> list[T]:
        """Return which of these to look up now: all, or a few that try whether it answers."""
        if self.is_alive or not wanted:
            return wanted
        if now < self._tried_again_at:
            return []
        self._tried_again_at = now + FAILED_S
        # Not the same ones each time: one of them may be what the API cannot answer.
        return random.sample(wanted, min(TRIED_AT_ONCE, len(wanted)))
