"""What events say: payloads in the shapes that Flatfile documents, grown to a wanted size.

The documented examples are small; real ones carry customers' rows. So every shape that can grow
(changes, record ids, parts, rows of a canvas) is filled until the event has the size drawn for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.sandbox import names
from streamer.sandbox.account import MARKER, Account, Environment, Space, Workbook
from streamer.sandbox.catalog import FAMILIES
from streamer.sandbox.dice import identifier

if TYPE_CHECKING:
    import random

OWN: Final = "@@own@@@@own@@@@"
"""Stands for the 16 characters that an event has to itself."""

_STATUS: Final = {
    "created": "created",
    "updated": "executing",
    "deleted": "canceled",
    "completed": "complete",
    "ready": "ready",
    "scheduled": "scheduled",
    "outcome-acknowledged": "complete",
    "parts-completed": "executing",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Where an event takes place, and what it is about."""

    topic: str
    account: Account
    environment: Environment
    space: Space
    workbook: Workbook
    sheet: tuple[str, str]
    operation: tuple[str, str]

    @classmethod
    def draw(
        cls, topic: str, chance: random.Random, account: Account, environment: Environment
    ) -> Scene:
        """Draw a place in the environment for an event of this topic."""
        space = chance.choice(environment.spaces)
        workbook = chance.choice(space.workbooks)
        return cls(
            topic,
            account,
            environment,
            space,
            workbook,
            sheet=chance.choice(workbook.sheets),
            operation=chance.choice(names.OPERATIONS),
        )

    @property
    def noun(self) -> str:
        """The first half of the topic."""
        return self.topic.partition(":")[0]

    @property
    def verb(self) -> str:
        """The second half of the topic."""
        return self.topic.partition(":")[2]

    @property
    def own_id(self) -> str:
        """The id of the object that the event is about, where the event names its own."""
        family = FAMILIES.get(self.noun)
        return f"us_{family.own[1] if family and family.own else 'obj'}_{OWN}"

    @property
    def space_slug(self) -> str:
        """The space's name as a slug."""
        return str(self.space.body["name"]).lower().replace(" ", "-")


def payload_of(
    scene: Scene, chance: random.Random, spare_bytes: int, *, exact: bool
) -> dict[str, Any]:
    """Return a payload of the topic's documented shape.

    Args:
        scene: Where the event takes place.
        chance: What is drawn from.
        spare_bytes: What is left of the event's size for it.
        exact: Grow also what is small by nature, so that every event has about the same size.
    """
    payload, growth = _shape(scene, chance)
    left = spare_bytes - len(orjson.dumps(payload))
    if growth is None and exact:
        growth = payload.setdefault("notes", [])
    while growth is not None and left > 0:
        item = _item(scene, chance) if growth is payload.get("changes") else _filler(scene, chance)
        item_bytes = len(orjson.dumps(item)) + 1
        if left < item_bytes / 2:
            break
        growth.append(item)
        left -= item_bytes
    return payload


def _shape(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    """Return the payload at its smallest, and the list in it that can grow."""
    maker = _MAKERS.get(scene.noun)
    if maker is not None:
        return maker(scene, chance)
    changes: list[Any] = []
    if scene.verb.endswith("updated"):
        return {"changes": changes}, changes
    return {"id": scene.own_id, "name": chance.choice(names.SPACES), "notes": changes}, changes


def _records(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    grown: list[Any] = []
    first = f"us_rc_{OWN}"
    payload: dict[str, Any] = {"sheetId": scene.sheet[0], "recordIds": [first]}
    if scene.verb == "updated":
        payload["changes"] = grown
        return payload, grown
    payload["recordIds"] = grown
    grown.append(first)
    payload["recordCount"] = chance.randint(1, 400)
    return payload, grown


def _job(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    domain, operation = scene.operation
    notes: list[Any] = []
    is_part = scene.verb == "parts-completed"
    payload: dict[str, Any] = {
        "domain": domain,
        "operation": operation,
        "job": f"{domain}:{operation}",
        "status": _STATUS.get(scene.verb, "executing"),
        "info": chance.choice(names.SENTENCES),
        "isPart": is_part,
        "input": {"fileName": chance.choice(names.FILES), "notes": notes},
    }
    if operation == "export" and chance.random() < 0.5:
        payload["input"]["destination"] = {
            "url": "https://carrier.example.com/import",
            "apiKey": f"{MARKER}_api_{chance.getrandbits(96):024x}",
            "headers": [{"authorization": f"Bearer {MARKER}_bearer_{chance.getrandbits(96):024x}"}],
        }
    if is_part:
        payload["parts"] = [identifier(chance, "jb") for _ in range(3)]
    return payload, notes


def _space(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    changes: list[Any] = []
    if scene.verb == "updated":
        return {"changes": changes}, changes
    if scene.verb.startswith("guest"):
        return {"notified": chance.random() < 0.5, "role": "collaborator"}, None
    return {"space": {**scene.space.body, "updatedAt": "2026-01-05T09:30:00.000Z"}}, None


def _secret(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    payload: dict[str, Any] = {
        "secretId": f"us_sec_{OWN}",
        "spaceId": scene.space.id,
        "environmentId": scene.environment.id,
    }
    if scene.verb != "deleted" and chance.random() < 0.7:
        payload["name"] = "CARRIER_PASSWORD"
        payload["value"] = f"{MARKER}_secret_{chance.getrandbits(96):024x}"
    return payload, None


def _agent(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    agents = scene.environment.agents
    agent_id = chance.choice(agents)["id"] if agents else scene.own_id
    return {"agentId": agent_id, "environmentId": scene.environment.id}, None


def _environment(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    changes: list[Any] = []
    if scene.verb == "updated":
        return {"changes": changes}, changes
    if scene.verb == "deleted":
        users = scene.account.users
        return {
            "environmentId": identifier(chance, "env"),
            "deletedAt": "2026-01-05T09:30:00.000Z",
            "deletedBy": chance.choice(users)["id"] if users else None,
        }, None
    return {"environmentId": scene.environment.id, "name": scene.environment.body["name"]}, None


def _file(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    if scene.verb == "updated":
        return {"status": "complete", "workbookId": scene.workbook.id}, None
    notes: list[Any] = []
    return {
        "name": chance.choice(names.FILES),
        "size": chance.randint(900, 40_000_000),
        "mimetype": "text/csv",
        "mode": "import",
        "sheets": notes,
    }, notes


def _canvas(scene: Scene, chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    areas: list[Any] = []
    return {
        "id": scene.own_id,
        "environmentId": scene.environment.id,
        "spaceId": scene.space.id,
        "name": chance.choice(names.SPACES),
        "layout": {"columns": 12, "gap": 1.5, "areas": areas},
    }, areas


def _cron(scene: Scene, _chance: random.Random) -> tuple[dict[str, Any], list[Any] | None]:
    return {"interval": scene.verb, "run": OWN}, None


_MAKERS: Final = {
    "records": _records,
    "job": _job,
    "space": _space,
    "secret": _secret,
    "agent": _agent,
    "environment": _environment,
    "file": _file,
    "canvas": _canvas,
    "canvas-area": _canvas,
    "cron": _cron,
}


def _item(scene: Scene, chance: random.Random) -> dict[str, Any]:
    """One change, of a record's field or of an object's."""
    before, after = chance.choice(names.VALUES), chance.choice(names.VALUES)
    if scene.noun == "records":
        record = f"us_rc_{OWN}" if chance.random() < 0.2 else identifier(chance, "rc")
        return {
            "recordId": record,
            "fieldKey": chance.choice(names.FIELDS),
            "previousValue": before,
            "newValue": after,
        }
    field = chance.choice(("name", "labels", "metadata", "settings", "displayOrder"))
    return {"field": field, "previousValue": before, "newValue": after}


def _filler(scene: Scene, chance: random.Random) -> object:
    """One more element of a list that is no list of changes."""
    if scene.noun == "records":
        return identifier(chance, "rc")
    if scene.noun in {"canvas", "canvas-area"}:
        return {"id": identifier(chance, "cva"), "kind": "table", "span": chance.randint(1, 12)}
    return chance.choice(names.SENTENCES)
