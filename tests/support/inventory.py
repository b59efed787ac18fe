"""Objects of an account for tests of the inventory, and what its topic says in the end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from streamer.audit.privacy import CLEAR
from streamer.flatfile.objects import Element
from streamer.inventory.things import read_thing

if TYPE_CHECKING:
    from streamer.audit.privacy import Privacy
    from streamer.flatfile.objects import Kind
    from streamer.inventory.things import Thing

UNTIL: Final = datetime(2026, 11, 23, 20, 46, tzinfo=UTC)
"""When the accounts are built."""


def thing(
    kind: Kind,
    body: dict[str, Any],
    privacy: Privacy = CLEAR,
    *,
    environment_id: str | None = None,
) -> Thing:
    """What the inventory says of an object that the API shows like this."""
    raw = json.dumps(body, ensure_ascii=False).encode()
    element = Element(body["id"], raw)
    found = read_thing(kind, element, privacy, environment_id=environment_id)
    assert found is not None
    return found
