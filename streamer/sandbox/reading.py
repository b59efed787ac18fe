"""What the documentation of `GET /events` leaves open, each as a choice.

The defaults are one honest reading. A reader must be right under every other one, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

BEGINNING_MS: Final = -(1 << 60)
"""Before every event."""

Order = Literal["oldest", "newest", "shuffled"]
Bound = Literal["inclusive", "exclusive"]
Resolution = Literal["ms", "cut", "round", "since_cut", "since_round"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the sandbox reads its own documentation, and what happens to events over time.

    Attributes:
        order: How events are listed. Shuffled ones keep their places, new ones appear anywhere.
        since_bound: Whether `since` includes its own instant.
        since_resolution: In which unit `since` is compared: milliseconds; seconds, with both times
            cut or both rounded; or milliseconds, with `since` alone cut or rounded to a second.
        stable_pages: Whether pages after the first show what there was when the first was asked
            for, instead of moving with every arrival.
        late_share: The share of live events that become visible late.
        late_most_s: How much later than their `createdAt` at most.
        expire_after_s: The age at which events vanish from listings; 0 is never.
        expire_rate: Events per second that vanish from anywhere.
        erase_rate: Events per second that get a `deletedAt`.
        acknowledge_rate: Events per second that get an `acknowledgedAt`.
        hostile_share: The share of live events that are of a hostile form.
        hostile_kinds: Which of those forms; empty is all but the very large ones.
        date_skew_s: How far the `Date` header is ahead of the times of events.
    """

    order: Order = "oldest"
    since_bound: Bound = "inclusive"
    since_resolution: Resolution = "ms"
    stable_pages: bool = False
    late_share: float = 0.0
    late_most_s: float = 20.0
    expire_after_s: float = 0.0
    expire_rate: float = 0.0
    erase_rate: float = 0.0
    acknowledge_rate: float = 0.0
    hostile_share: float = 0.0
    hostile_kinds: tuple[str, ...] = ()
    date_skew_s: float = 0.0

    def bound_ms(self, since_ms: int | None) -> int:
        """Return the time from which on this server shows events for a `since`.

        Every reading of `since` is a bound in whole milliseconds: that two times are compared
        after both were rounded is the same as one of them compared with a shifted other.
        """
        if since_ms is None:
            return BEGINNING_MS
        beyond = self.since_bound == "exclusive"
        second_ms = since_ms // 1000 * 1000
        rounded_ms = (since_ms + 500) // 1000 * 1000
        match self.since_resolution:
            case "ms":
                return since_ms + beyond
            case "since_cut":
                return second_ms + beyond
            case "since_round":
                return rounded_ms + beyond
            case "cut":
                return second_ms + 1000 * beyond
            case "round":
                return rounded_ms - 500 + 1000 * beyond
