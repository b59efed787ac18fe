"""What the log says was published in the last days: 8 bytes a record.

For looks that go back further than what a cursor remembers. Filled in the order of the log, by all
environments of a shard together, then only asked. In chunks, sorted each, with the times that they
span: an event is looked for in the few chunks whose span has its `createdAt`. What has no time in
its record, though a page may make one of what was sent, is looked for whatever its time. That a
record is a further revision, or tells of an erasure, is a digest more.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from streamer.capture.seen import Remembered, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHUNK_DIGESTS: Final = 65_536
"""Sorting as many takes a few megabytes for a moment."""


_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)


class _Chunk:
    __slots__ = ("begins_at", "digests", "ends_at")

    def __init__(self) -> None:
        self.begins_at = _END
        self.ends_at = _BEGINNING
        self.digests: array[int] = array("q")

    def span(self, moment: datetime | None) -> None:
        self.begins_at = min(self.begins_at, moment or _BEGINNING)
        self.ends_at = max(self.ends_at, moment or _END)

    def freeze(self) -> None:
        self.digests = array("q", sorted(self.digests))

    def has(self, digest: int, moment: datetime | None) -> bool:
        if moment is not None and not self.begins_at <= moment <= self.ends_at:
            return False
        place = bisect_left(self.digests, digest)
        return place < len(self.digests) and self.digests[place] == digest


class Published:
    """The records of a stretch of a shard's log, by environment and id.

    Attributes:
        knows_from: Nothing is missing of what was created from here on and published before the
            stretch ended.
    """

    def __init__(self, *, acknowledged: bool = False) -> None:
        """Begin with nothing.

        Args:
            acknowledged: Whether an acknowledgement makes a further revision.
        """
        self.knows_from = _BEGINNING
        self._words = Seen(acknowledged=acknowledged)
        self._open, self._timeless = _Chunk(), _Chunk()
        self._chunks = [self._open, self._timeless]

    def __len__(self) -> int:
        return sum(len(chunk.digests) for chunk in self._chunks)

    def add(self, environment_id: str, record: Remembered) -> None:
        """Take in a record."""
        salt = hash(environment_id)
        chunk = self._timeless if record.created_at is None else self._open
        digests = self._words.digests_of(record)
        if record.revision > 1:
            digests.append(_revised(digests[0], record.revision))
        chunk.digests.extend(digest ^ salt for digest in digests)
        chunk.span(record.created_at)
        if len(chunk.digests) >= CHUNK_DIGESTS:
            self.freeze()
            self._open, self._timeless = _Chunk(), _Chunk()
            self._chunks += [self._open, self._timeless]

    def freeze(self) -> None:
        """Take in no more, and be asked."""
        self._open.freeze()
        self._timeless.freeze()

    def has(self, environment_id: str, digest: int, moment: datetime | None) -> bool:
        """Whether something created at a moment was published; None: whenever that was."""
        salted = digest ^ hash(environment_id)
        return any(chunk.has(salted, moment) for chunk in self._chunks)

    def revision(self, environment_id: str, digest: int) -> int:
        """Return the last revision of an event that was published."""
        last = 1
        while self.has(environment_id, _revised(digest, last + 1), None):
            last += 1
        return last


class SeenInLog(Seen):
    """What a stretch of the log says of one environment, and what was published since."""

    __slots__ = ("_environment_id", "_published")

    def __init__(
        self,
        published: Published,
        environment_id: str,
        *,
        acknowledged: bool = False,
        stub_id: Callable[[bytes], str] | None = None,
    ) -> None:
        super().__init__(acknowledged=acknowledged, stub_id=stub_id)
        self._published = published
        self._environment_id = environment_id

    @override
    def unknown(self, digests: Sequence[int], times: Sequence[datetime]) -> set[int]:
        left = super().unknown(digests, times)
        return left - {
            digest
            for digest, moment in zip(digests, times, strict=True)
            if digest in left and self._published.has(self._environment_id, digest, moment)
        }

    @override
    def revision(self, digest: int) -> int:
        return max(super().revision(digest), self._published.revision(self._environment_id, digest))


def _revised(digest: int, revision: int) -> int:
    """What is known of an event once a further revision of it was published."""
    return hash((digest, revision))
