"""Templates of events: everything but what differs from one event to the next.

A million events must cost the sandbox less than they cost their reader, so an event is not built
but cut together: its id, its times and one token of its own are put into one of a few thousand
templates, which are made when they are first needed and then kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.sandbox.account import MARKER, Account, Environment
from streamer.sandbox.catalog import FAMILIES, TOPICS, WEIGHTS, is_by_nobody
from streamer.sandbox.dice import dice, identifier
from streamer.sandbox.payloads import OWN, Scene, payload_of

if TYPE_CHECKING:
    import random

_ID: Final = "@@id@@"
_AT: Final = "@@at@@"
_LIFE: Final = '"@@life@@"'

ALIVE: Final = b'null,"acknowledgedAt":null,"acknowledgedBy":null'
"""The value of `deletedAt` and what follows it, for an event that nothing happened to."""

_HOLES_BYTES: Final = 70
"""How much longer an event is than its template, where the holes are."""

POOL_TOTAL: Final = 8_192
"""Templates over all environments: about 9 MB, and half a second to make every one of them."""

POOL_LEAST: Final = 128
POOL_MOST: Final = 2_048


@dataclass(frozen=True, slots=True)
class Template:
    """An event with holes: `head id middle createdAt after lifecycle tail`.

    The event's own token goes wherever `OWN` stands in the tail.
    """

    topic: str
    domain: str
    space_id: str | None
    head: bytes
    middle: bytes
    after: bytes
    tail: bytes

    def render(self, event_id: bytes, created_at: bytes, life: bytes, own: bytes) -> bytes:
        """Return the JSON of one event."""
        tail = self.tail.replace(OWN_BYTES, own)
        return b"".join((self.head, event_id, self.middle, created_at, self.after, life, tail))


OWN_BYTES: Final = OWN.encode()
"""What stands in a template for the event's own token."""


class TemplatePool:
    """The templates of one environment.

    The first 82 are one of each topic, so that no topic is missing from a long enough backlog;
    the others follow the frequencies of the catalog.
    """

    def __init__(
        self, *, seed: int, account: Account, environment: Environment, size: int, event_bytes: int
    ) -> None:
        self.seed = seed
        self._account = account
        self.environment = environment
        self._event_bytes = event_bytes
        chance = dice(seed, "topics", environment.number)
        rest = chance.choices(TOPICS, weights=list(WEIGHTS.values()), k=max(0, size - len(TOPICS)))
        self._topics = [*TOPICS, *rest]
        self._made: list[Template | None] = [None] * len(self._topics)

    def __len__(self) -> int:
        return len(self._topics)

    def __getitem__(self, place: int) -> Template:
        template = self._made[place]
        if template is None:
            chance = dice(self.seed, "template", self.environment.number, place)
            template = self._made[place] = self.make(self._topics[place], chance)
        return template

    def make(self, topic: str, chance: random.Random) -> Template:
        """Make a template of a topic, also of one that is not in the catalog."""
        event = _event(topic, chance, self._account, self.environment, self._event_bytes)
        encoded = orjson.dumps(event)
        head, encoded = encoded.split(_ID.encode(), 1)
        middle, encoded = encoded.split(_AT.encode(), 1)
        after, tail = encoded.split(_LIFE.encode(), 1)
        space_id = event["context"].get("spaceId")
        return Template(topic, event["domain"], space_id, head, middle, after, tail)


def pool_size(environments: int) -> int:
    """Return how many templates each environment has."""
    return max(POOL_LEAST, min(POOL_MOST, POOL_TOTAL // max(1, environments)))


def _event(
    topic: str,
    chance: random.Random,
    account: Account,
    environment: Environment,
    event_bytes: int,
) -> dict[str, Any]:
    noun = topic.partition(":")[0]
    scene = Scene.draw(topic, chance, account, environment)
    family = FAMILIES.get(noun)
    context = _context(scene, chance)
    event: dict[str, Any] = {
        "id": _ID,
        "topic": topic,
        "domain": family.domain if family else noun,
        "createdAt": _AT,
        "deletedAt": _LIFE.strip('"'),
        "context": context,
        "payload": {},
        "attributes": _attributes(chance),
        "callbackUrl": _callback(chance),
        "dataUrl": "",
        "target": f"space({scene.space.id})" if "spaceId" in context else None,
        "namespaces": [noun],
        "origin": _origin(scene, context),
    }
    target_bytes = event_bytes or _drawn_bytes(chance)
    spare_bytes = target_bytes - len(orjson.dumps(event)) - _HOLES_BYTES
    event["payload"] = payload_of(scene, chance, spare_bytes, exact=bool(event_bytes))
    return event


def _drawn_bytes(chance: random.Random) -> int:
    """Draw an event's size: most are near a kilobyte, a few have several."""
    return int(min(5000.0, max(300.0, chance.lognormvariate(6.74, 0.62))))


def _actor(scene: Scene, chance: random.Random) -> str | None:
    if is_by_nobody(scene.topic):
        return None
    account, environment = scene.account, scene.environment
    draw = chance.random()
    crowds: tuple[tuple[float, list[str]], ...] = (
        (0.40, [str(user["id"]) for user in account.users]),
        (0.68, [str(guest["id"]) for guest in environment.guests]),
        (0.86, [str(agent["id"]) for agent in environment.agents]),
        (0.94, account.keys),
        (0.97, account.former),
    )
    for share, crowd in crowds:
        if draw < share and crowd:
            return chance.choice(crowd)
    return None


def _context(scene: Scene, chance: random.Random) -> dict[str, Any]:
    family = FAMILIES.get(scene.noun)
    sheet_id, sheet_slug = scene.sheet
    slugs = {"space": scene.space_slug, "workbook": scene.workbook.slug, "sheet": sheet_slug}
    domain, operation = scene.operation
    members: dict[str, Any] = {
        "slugs": slugs,
        "actionName": f"{domain}:{operation}",
        "spaceId": scene.space.id,
        "workbookId": scene.workbook.id,
        "sheetId": sheet_id,
        "sheetSlug": sheet_slug,
        "versionId": f"us_vr_{OWN}",
        "precedingEventId": f"us_evt_{OWN}",
        "appId": identifier(chance, "app"),
    }
    context: dict[str, Any] = {"namespaces": [scene.noun]}
    placed = family is None or family.placed
    if placed:
        context["accountId"] = scene.account.id
        context["environmentId"] = scene.environment.id
    for member in family.context if family else ("spaceId",):
        context[member] = members[member]
    if family and family.own:
        context[family.own[0]] = scene.own_id
    actor = _actor(scene, chance)
    if actor is not None:
        context["actorId"] = actor
    return context


def _attributes(chance: random.Random) -> dict[str, Any]:
    attributes: dict[str, Any] = {"targetUpdatedAt": "2026-01-05T09:30:00.000Z"}
    if chance.random() < 0.3:
        total = chance.randint(1, 8)
        current = chance.randint(1, total)
        percent = current * 100 // total
        attributes["progress"] = {"current": current, "total": total, "percent": percent}
    return attributes


def _callback(chance: random.Random) -> str:
    """A few events are to be acknowledged at a signed address: a credential, too."""
    if chance.random() < 0.9:
        return ""
    return f"https://hooks.example.com/ack?signature={MARKER}_url_{chance.getrandbits(64):016x}"


def _origin(scene: Scene, context: dict[str, Any]) -> dict[str, Any] | None:
    if "sheetId" in context:
        return {"id": context["sheetId"], "slug": context["sheetSlug"]}
    if "workbookId" in context:
        return {"id": context["workbookId"], "slug": scene.workbook.slug}
    if "spaceId" in context:
        return {"id": context["spaceId"], "slug": scene.space_slug}
    return None
