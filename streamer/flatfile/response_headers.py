"""What the headers of an answer say about time. The local clock is not consulted."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the answer's `Date` in UTC; None where it is missing or no date."""
    return _http_date(headers.get("Date"))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long to wait by `Retry-After`, which is seconds or an HTTP date.

    A date counts from the answer's own `Date`; without one it says nothing. Uncapped: whoever
    waits has to. Source: RFC 9110, 10.2.3.
    """
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        until, now = _http_date(value), server_time(headers)
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _http_date(value: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(value) if value else None
        if date is None or date.tzinfo is None:
            return date.replace(tzinfo=UTC) if date else None
        return date.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
