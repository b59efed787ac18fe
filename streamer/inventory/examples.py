"""An example value of every kind, made by the code that makes real ones.

Deterministic, so that a test can tell whether what is checked in is current.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.audit.privacy import CLEAR
from streamer.flatfile.objects import Element
from streamer.inventory.message import encode
from streamer.inventory.things import read_thing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.flatfile.objects import Kind

_FIRST, _LAST = "2026-11-20T08:00:00.000Z", "2026-11-23T20:46:05.012Z"
_ENVIRONMENT: Final = "us_env_Kx7Qm2Rw"
_SPACE: Final = "us_sp_On3board"
_OBJECTS: Final[Mapping[Kind, Mapping[str, Any]]] = {
    "environment": {
        "id": _ENVIRONMENT,
        "accountId": "us_acc_Acc1",
        "name": "production",
        "isProd": True,
        "guestAuthentication": ["magic_link"],
    },
    "space": {
        "id": _SPACE,
        "environmentId": _ENVIRONMENT,
        "name": "Onboarding",
        "createdByUserName": "Ada Park",
        "archivedAt": None,
        "lastActivityAt": "2026-11-23T20:40:00.000Z",
        "guestLink": "an example",
        "accessToken": "an example",
    },
    "agent": {
        "id": "us_ag_Im7porter",
        "environmentId": _ENVIRONMENT,
        "slug": "importer",
        "topics": ["job:ready"],
        "source": "export default (listener) => {};",
        "createdAt": "2026-11-01T08:00:00.000Z",
    },
    "user": {
        "id": "us_usr_Ada4Park",
        "accountId": "us_acc_Acc1",
        "name": "Ada Park",
        "email": "ada.park@example.com",
    },
    "guest": {
        "id": "us_g_Ben8Ode",
        "environmentId": _ENVIRONMENT,
        "name": "Ben Ode",
        "email": "ben@partner.example.com",
        "spaces": [{"id": _SPACE, "lastAccessed": "2026-11-22T09:00:00.000Z"}],
    },
}


def values() -> list[bytes]:
    """Return a value of each kind; that of the guest is a change that no event told of."""
    found = []
    for kind, body in _OBJECTS.items():
        thing = read_thing(kind, Element(body["id"], orjson.dumps(body)), CLEAR)
        if thing is not None:
            found.append(
                encode(
                    thing,
                    account_id="us_acc_Acc1",
                    privacy=CLEAR,
                    first_seen=_FIRST,
                    last_seen=_LAST,
                    observed_only=True if kind == "guest" else None,
                )
            )
    return found


def files() -> dict[str, bytes]:
    """Return what `schemas/examples` holds of the inventory, by file name."""
    return {"inventory.jsonl": b"".join(value + b"\n" for value in values())}
