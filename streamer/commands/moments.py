"""Points in time as people give them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyclopts import Token

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_PART: Final = re.compile(r"([0-9]+)([smhdw])")


def parse_moment(text: str, now: datetime) -> datetime:
    """A date-time with its zone, or a duration before now such as 15m or 1h30m.

    Raises:
        ValueError: It is neither; says what it must be.
    """
    try:
        if _DURATION.fullmatch(text):
            parts = _PART.findall(text)
            return now - timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in parts))
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        message = "it must be a duration such as 15m, 2h or 7d, or a date-time with its zone"
        raise ValueError(message) from None
    if moment.tzinfo is None:
        message = "a date-time needs its zone, such as 2026-01-31T08:00:00Z"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _convert(_: object, tokens: Sequence[Token]) -> datetime:
    return parse_moment(tokens[0].value, datetime.now(UTC))


Moment = Annotated[datetime | None, Parameter(converter=_convert, n_tokens=1)]
"""An option that takes a point in time."""
