"""The events of one environment: made when they are asked for, the same whenever they are.

An event is its index. Everything about it follows from the seed, the environment and the index,
except what a test overrode: those few are kept as bytes. Encoded stretches of the backlog are
kept in a cache that all environments share.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.sandbox.blocks import BLOCK_EVENTS, Block, BlockCache, stamp_ms
from streamer.sandbox.dice import number_of, scramble
from streamer.sandbox.order import Order
from streamer.sandbox.templates import ALIVE, TemplatePool

if TYPE_CHECKING:
    from collections.abc import Iterable

_ACKNOWLEDGED_OF_64: Final = 2


Identity = tuple[str | None, str | None]
"""The id and the `createdAt` that an event carries; None where it has none that can be read."""


def members_of(element: bytes) -> dict[str, Any]:
    """Return the members of an element of a page; none, if it is not what it should be."""
    try:
        members = orjson.loads(element)
    except orjson.JSONDecodeError:
        return {}
    return members if isinstance(members, dict) else {}


def identity_of(members: dict[str, Any]) -> Identity:
    """Return what an event is known by."""
    event_id, created_at = members.get("id"), members.get("createdAt")
    return (
        event_id if isinstance(event_id, str) and event_id else None,
        created_at if isinstance(created_at, str) else None,
    )


def _facets_of(element: bytes) -> tuple[str | None, str | None, str | None]:
    members = members_of(element)
    context = members.get("context")
    space_id = context.get("spaceId") if isinstance(context, dict) else None
    return members.get("topic"), members.get("domain"), space_id


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many events there were before the sandbox began, and over which time."""

    events: int
    from_ms: int
    span_ms: int


class Timeline:
    """One environment's events, by index and in order.

    Attributes:
        number: The environment's number.
        environment_id: The environment's id, for the ledger.
        order: The order that listings are cut from.
        deleted: `deletedAt` of the events that have one, by index.
    """

    def __init__(self, pool: TemplatePool, cache: BlockCache, backlog: Backlog) -> None:
        self.number = pool.environment.number
        self.environment_id = pool.environment.id
        self.deleted: dict[int, str] = {}
        self._seed = pool.seed
        self._pool = pool
        self._cache = cache
        self._backlog = backlog.events
        self._places = backlog.events << 16
        self._from_ms = backlog.from_ms
        self._span_ms = backlog.span_ms
        self._later_ms: array[int] = array("q")
        self._written: dict[int, bytes] = {}
        self._acknowledged: dict[int, bool] = {}
        self._identities: dict[int, Identity] = {}
        self._raw: set[int] = set()
        self.order = Order(backlog.events, self.created_ms)

    def __len__(self) -> int:
        return self._backlog + len(self._later_ms)

    def append(self, created_ms: int) -> int:
        """Make one more event and return its index; it is not in the order yet."""
        self._later_ms.append(created_ms)
        return len(self) - 1

    def created_ms(self, index: int) -> int:
        """Return an event's time."""
        if index >= self._backlog:
            return self._later_ms[index - self._backlog]
        return self._backlog_ms(index, scramble(number_of(self._seed, self.number, index)))

    def event_id(self, index: int) -> str:
        """Return an event's id, as the formula gives it."""
        return f"us_evt_{number_of(self._seed, self.number, index):016x}"

    def facets(self, index: int) -> tuple[str | None, str | None, str | None]:
        """Return what a listing can be filtered by: topic, domain, space."""
        written = self._written.get(index)
        if written is not None:
            return _facets_of(written)
        stirred = scramble(number_of(self._seed, self.number, index))
        template = self._pool[(stirred >> 20) % len(self._pool)]
        return template.topic, template.domain, template.space_id

    def identity(self, index: int) -> Identity:
        """Return the id and the `createdAt` that an event carries, as far as it has any."""
        known = self._identities.get(index)
        return known or (self.event_id(index), stamp_ms(self.created_ms(index)).decode())

    def is_acknowledged(self, index: int) -> bool:
        """Tell whether an event is left out unless `includeAcknowledged` is given."""
        known = self._acknowledged.get(index)
        if known is not None:
            return known
        stirred = scramble(number_of(self._seed, self.number, index))
        return index < self._backlog and stirred >> 8 & 63 < _ACKNOWLEDGED_OF_64

    def event(self, index: int) -> bytes:
        """Return the JSON of one event."""
        written = self._written.get(index)
        if written is not None:
            return written
        number = number_of(self._seed, self.number, index)
        stirred = scramble(number)
        life = ALIVE
        if index >= self._backlog:
            created_ms = self._later_ms[index - self._backlog]
        else:
            created_ms = self._backlog_ms(index, stirred)
            if stirred >> 8 & 63 < _ACKNOWLEDGED_OF_64:
                at = stamp_ms(created_ms + 1 + (stirred >> 50))
                life = b'null,"acknowledgedAt":"%b","acknowledgedBy":"us_ag_worker"' % at
        template = self._pool[(stirred >> 20) % len(self._pool)]
        return template.render(
            b"us_evt_%016x" % number, stamp_ms(created_ms), life, b"%016x" % stirred
        )

    def _backlog_ms(self, index: int, stirred: int) -> int:
        place = index << 16 | stirred & 0xFFFF
        return self._from_ms + place * self._span_ms // self._places

    def write(self, index: int, event: dict[str, Any]) -> None:
        """Override an event."""
        self._acknowledged[index] = event.get("acknowledgedAt") is not None
        self.deleted.pop(index, None)
        if event.get("deletedAt") is not None:
            self.deleted[index] = str(event["deletedAt"])
        self._put(index, orjson.dumps(event), identity_of(event))

    def write_raw(self, index: int, element: bytes, identity: Identity) -> None:
        """Put bytes in place of an event, whatever they are."""
        self._acknowledged[index] = False
        self._raw.add(index)
        self._put(index, element, identity)

    def rewrite(self, index: int, changes: dict[str, Any]) -> bool:
        """Change members of an event, such as `deletedAt`, in place; False if it is raw."""
        if index in self._raw:
            return False
        self.write(index, orjson.loads(self.event(index)) | changes)
        return True

    def _put(self, index: int, element: bytes, identity: Identity) -> None:
        self._written[index] = element
        self._identities[index] = identity
        self._cache.drop((self.number, index // BLOCK_EVENTS))

    def encode(self, runs: Iterable[range]) -> list[bytes]:
        """Return the JSON of these events, comma separated, in pieces."""
        pieces: list[bytes] = []
        for run in runs:
            if run.step < 0:
                forward = run[::-1]
                pieces.extend(reversed([self.encode((range(i, i + 1),))[0] for i in forward]))
            elif run.start >= self._backlog:
                pieces.extend(map(self.event, run))
            else:
                pieces.extend(self._cut(run))
        return pieces

    def encode_backlog(self) -> None:
        """Encode the whole backlog into the cache."""
        for number in range(-(-self._backlog // BLOCK_EVENTS)):
            self._block(number)

    def _cut(self, run: range) -> list[bytes]:
        pieces: list[bytes] = []
        start = run.start
        while start < run.stop:
            number, first = divmod(start, BLOCK_EVENTS)
            last = min(run.stop - number * BLOCK_EVENTS, BLOCK_EVENTS)
            block = self._block(number)
            pieces.append(block.cut(first, last))
            start = number * BLOCK_EVENTS + last
        return pieces

    def _block(self, number: int) -> Block:
        key = (self.number, number)
        block = self._cache.get(key)
        if block is None:
            first = number * BLOCK_EVENTS
            last = min(first + BLOCK_EVENTS, self._backlog)
            block = Block.of([self.event(index) for index in range(first, last)])
            self._cache.put(key, block)
        return block
