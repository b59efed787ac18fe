"""The events of one environment: made when they are asked for, the same whenever they are.

An event is its index. Everything about it follows from the seed, the environment and the index,
except what a test overrode: those few are kept as bytes. Encoded stretches of the backlog are
kept in a cache that all environments share.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from streamer.sandbox.dice import number_of, scramble
from streamer.sandbox.order import Order
from streamer.sandbox.templates import ALIVE, TemplatePool

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK_EVENTS: Final = 500
"""Events that are encoded and cached together."""

_ACKNOWLEDGED_OF_64: Final = 2
_DAY_MS: Final = 86_400_000


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)).strftime("%Y-%m-%dT").encode()


def stamp_ms(at_ms: int) -> bytes:
    """Write milliseconds since 1970 as Flatfile does."""
    days, at_ms = divmod(at_ms, _DAY_MS)
    seconds, part = divmod(at_ms, 1000)
    return _day(days) + b"%02d:%02d:%02d.%03dZ" % (
        seconds // 3600,
        seconds // 60 % 60,
        seconds % 60,
        part,
    )


def _members_of(event: bytes) -> dict[str, Any]:
    """Return an event's members; none, if it is not what it should be."""
    try:
        members = orjson.loads(event)
    except orjson.JSONDecodeError:
        return {}
    return members if isinstance(members, dict) else {}


def _facets_of(event: bytes) -> tuple[str | None, str | None, str | None]:
    members = _members_of(event)
    context = members.get("context")
    space_id = context.get("spaceId") if isinstance(context, dict) else None
    return members.get("topic"), members.get("domain"), space_id


@dataclass(slots=True)
class _Block:
    blob: bytes
    ends: array[int]


class BlockCache:
    """Encoded stretches of backlogs, the least recently used of them forgotten first."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._blocks: OrderedDict[tuple[int, int], _Block] = OrderedDict()
        self._size_bytes = 0

    def get(self, key: tuple[int, int]) -> _Block | None:
        """Return a block if it is here."""
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
        return block

    def put(self, key: tuple[int, int], block: _Block) -> None:
        """Keep a block, at the cost of others."""
        self._blocks[key] = block
        self._size_bytes += len(block.blob)
        while self._size_bytes > self.limit_bytes and self._blocks:
            _, dropped = self._blocks.popitem(last=False)
            self._size_bytes -= len(dropped.blob)

    def drop(self, key: tuple[int, int]) -> None:
        """Forget a block whose content has changed."""
        block = self._blocks.pop(key, None)
        if block is not None:
            self._size_bytes -= len(block.blob)


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

    def identity(self, index: int) -> tuple[str | None, str | None]:
        """Return the id and the `createdAt` that an event carries, as far as it has any."""
        written = self._written.get(index)
        if written is None:
            return self.event_id(index), stamp_ms(self.created_ms(index)).decode()
        event = _members_of(written)
        event_id, created_at = event.get("id"), event.get("createdAt")
        return (
            event_id if isinstance(event_id, str) else None,
            created_at if isinstance(created_at, str) else None,
        )

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

    def write(self, index: int, event: bytes, *, acknowledged: bool | None = None) -> None:
        """Override an event's bytes."""
        self._written[index] = event
        if acknowledged is not None:
            self._acknowledged[index] = acknowledged
        self._cache.drop((self.number, index // BLOCK_EVENTS))

    def rewrite(self, index: int, changes: dict[str, Any]) -> None:
        """Change members of an event, such as `deletedAt`, in place."""
        event = orjson.loads(self.event(index))
        event.update(changes)
        if "deletedAt" in changes:
            if changes["deletedAt"] is None:
                self.deleted.pop(index, None)
            else:
                self.deleted[index] = str(changes["deletedAt"])
        acknowledged = (
            changes["acknowledgedAt"] is not None if "acknowledgedAt" in changes else None
        )
        self.write(index, orjson.dumps(event), acknowledged=acknowledged)

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
            begin = block.ends[first - 1] + 1 if first else 0
            pieces.append(block.blob[begin : block.ends[last - 1]])
            start = number * BLOCK_EVENTS + last
        return pieces

    def _block(self, number: int) -> _Block:
        key = (self.number, number)
        block = self._cache.get(key)
        if block is None:
            first = number * BLOCK_EVENTS
            events = list(map(self.event, range(first, min(first + BLOCK_EVENTS, self._backlog))))
            ends: array[int] = array("q")
            end = -1
            for event in events:
                end += len(event) + 1
                ends.append(end)
            block = _Block(b",".join(events), ends)
            self._cache.put(key, block)
        return block
