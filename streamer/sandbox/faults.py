"""Which requests go wrong, and how: by chance, or the next ones on demand.

What the damage looks like on the wire is in `damage`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Literal

from streamer.sandbox.dice import dice

if TYPE_CHECKING:
    from collections.abc import Iterable

RetryAfter = Literal["seconds", "date", "none"]


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of requests that each fault befalls, and what it is like.

    Attributes:
        throttle: Answered with 429.
        error_500: 500 with the documented body.
        bad_gateway: 502 with an HTML page, as of a proxy.
        status: An answer with `status_code` and no body.
        unauthorized: 401, although the token is good.
        html: 200 with an HTML page.
        garbage: 200 with bytes that mean nothing.
        truncated: A complete answer whose JSON ends in the middle.
        half: The connection ends in the middle of the body.
        reset: The connection is reset before an answer.
        hang: No answer for `hang_s`, then the connection ends.
        trickle: The right answer, in a few bytes each half second.
        endless: A body that never ends.
        huge: A body of `huge_bytes`.
        gzip_bomb: A small body that unpacks to `huge_bytes`.
        redirect: 302 to `redirect_to`.
        retry_after: What a 429 says about when to come back.
        retry_after_s: How many seconds it says.
        status_code: The status of `status`.
        hang_s: How long a hang lasts.
        huge_bytes: How large the large ones are.
        redirect_to: Where a redirect leads.
        faults_on: Only requests whose path begins so.
    """

    throttle: float = 0.0
    error_500: float = 0.0
    bad_gateway: float = 0.0
    status: float = 0.0
    unauthorized: float = 0.0
    html: float = 0.0
    garbage: float = 0.0
    truncated: float = 0.0
    half: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    trickle: float = 0.0
    endless: float = 0.0
    huge: float = 0.0
    gzip_bomb: float = 0.0
    redirect: float = 0.0
    retry_after: RetryAfter = "seconds"
    retry_after_s: int = 1
    status_code: int = 503
    hang_s: float = 60.0
    huge_bytes: int = 1 << 30
    redirect_to: str = "http://example.com/v1/events"
    faults_on: str = "/v1/"


KINDS: Final = tuple(
    option.name for option in fields(Faults) if option.type == "float" and option.name != "hang_s"
)
"""The names of all faults."""


class FaultChooser:
    """Decides for each request whether and how it goes wrong."""

    def __init__(self, seed: int) -> None:
        self._chance = dice(seed, "faults")
        self._planned: deque[tuple[str, str]] = deque()

    def plan(self, kind: str, path: str, count: int) -> None:
        """Let the next requests whose path begins so go wrong.

        Raises:
            ValueError: There is no such fault.
        """
        if kind not in KINDS:
            msg = f"{kind} is no fault; these are: {', '.join(KINDS)}"
            raise ValueError(msg)
        self._planned.extend([(kind, path)] * count)

    def choose(self, path: str, faults: Faults) -> str | None:
        """Return the fault that a request meets, if any."""
        for place, (kind, begins) in enumerate(self._planned):
            if path.startswith(begins):
                del self._planned[place]
                return kind
        if not path.startswith(faults.faults_on):
            return None
        return self._drawn((kind, getattr(faults, kind)) for kind in KINDS)

    def _drawn(self, shares: Iterable[tuple[str, float]]) -> str | None:
        draw: float | None = None
        for kind, share in shares:
            if share:
                draw = self._chance.random() if draw is None else draw
                if draw < share:
                    return kind
                draw -= share
        return None
