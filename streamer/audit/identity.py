"""What a row of a page is known by: in what has been seen, in its record, after a restart."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from streamer.flatfile.models import BrokenEvent

if TYPE_CHECKING:
    from streamer.flatfile.models import Row

LONGEST_ID: Final = 512
"""Characters; a longer id would not fit where ids go, and is known by its digest."""


def identity(row: Row) -> str:
    """Return the id, or where there is none, the digest of the element's bytes.

    It is the `id` of the row's record.
    """
    if isinstance(row, BrokenEvent) and not row.id:
        return f"sha256:{sha256(row.raw).hexdigest()}"
    known = row.id or ""
    if len(known) > LONGEST_ID:
        return f"sha256:{sha256(known.encode()).hexdigest()}"
    return known
