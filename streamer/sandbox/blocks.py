"""Encoded stretches of backlogs, kept within a limit, and how times are written."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCK_EVENTS: Final = 500
"""Events that are encoded and kept together."""

_DAY_MS: Final = 86_400_000


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)).strftime("%Y-%m-%dT").encode()


def stamp_ms(at_ms: int) -> bytes:
    """Write milliseconds since 1970 as Flatfile does: UTC, milliseconds, `Z`."""
    days, at_ms = divmod(at_ms, _DAY_MS)
    seconds, part = divmod(at_ms, 1000)
    return _day(days) + b"%02d:%02d:%02d.%03dZ" % (
        seconds // 3600,
        seconds // 60 % 60,
        seconds % 60,
        part,
    )


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring events, comma separated, and where each ends."""

    blob: bytes
    ends: array[int]

    @classmethod
    def of(cls, events: Sequence[bytes]) -> Block:
        """Join events."""
        ends: array[int] = array("q")
        end = -1
        for event in events:
            end += len(event) + 1
            ends.append(end)
        return cls(b",".join(events), ends)

    def cut(self, first: int, stop: int) -> bytes:
        """Return some of the events, comma separated."""
        return self.blob[self.ends[first - 1] + 1 if first else 0 : self.ends[stop - 1]]


class BlockCache:
    """Blocks by environment and place, the least recently used of them forgotten first."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._blocks: OrderedDict[tuple[int, int], Block] = OrderedDict()
        self._size_bytes = 0

    def get(self, key: tuple[int, int]) -> Block | None:
        """Return a block if it is here."""
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
        return block

    def put(self, key: tuple[int, int], block: Block) -> None:
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
