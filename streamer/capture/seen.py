"""What has been published of one environment, so that nothing is published twice.

A digest per event, 64 bits of Python's own `hash`, keyed anew in every process: it is rebuilt from
the topic after a restart, and nobody outside can aim for a collision. By time: segments, each from
its first moment up to the next one's; only the last is a set (about 100 bytes an event), the ones
before it are sorted arrays (8 bytes). An event is looked for where its `createdAt` puts it.

What its time does not place (no `createdAt`, or one in the future) stands apart, in a dictionary.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit.identity import LONGEST_ID, identity
from streamer.capture.position import UNDATED
from streamer.flatfile.models import BrokenEvent, Event, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEGMENT_EVENTS: Final = 8192
"""A segment that holds this many is followed by a new one once later events come."""

LEAST_EVENTS: Final = 256
"""So is one that holds this many, once it began before what is still of interest: whole segments
are forgotten, and that of a quiet environment would take hours to fill."""

LOOSE_SHARE: Final = 8
"""What came late to a frozen segment is merged once it is an eighth of it: the copying then costs
a constant per event."""

LEAST_LOOSE: Final = 512

FUTURE: Final = timedelta(hours=1)
"""What is dated further ahead of the server's clock than this does not get a segment."""

PURGE_INTERVAL: Final = timedelta(minutes=1)
"""What stands apart is looked through only that often."""

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class Remembered(NamedTuple):
    """What a published record says about the event that it was made of.

    Attributes:
        id: The record's `id` without its revision; `sha256:…` where the event had none.
        created_at: None where the event had no date-time.
    """

    id: str
    created_at: datetime | None
    revision: int = 1
    deleted_at: str | None = None
    acknowledged_at: str | None = None


class _Segment:
    """The digests of a stretch of time: most of them frozen, the late ones loose."""

    __slots__ = ("begins_at", "ends_at", "frozen", "loose")

    def __init__(self, begins_at: datetime) -> None:
        self.begins_at = begins_at
        self.ends_at = begins_at
        self.frozen: array[int] = array("q")
        self.loose: set[int] = set()

    def __len__(self) -> int:
        return len(self.frozen) + len(self.loose)

    def without(self, digests: set[int]) -> set[int]:
        """Return those that are not here."""
        left = digests.difference(self.loose)
        frozen = self.frozen
        if not frozen:
            return left
        size = len(frozen)
        return {
            digest
            for digest in left
            if (place := bisect_left(frozen, digest)) == size or frozen[place] != digest
        }

    def thaw_limit(self) -> int:
        return max(LEAST_LOOSE, len(self.frozen) // LOOSE_SHARE)

    def freeze(self) -> None:
        if self.loose:
            self.loose.update(self.frozen)
            self.frozen = array("q", sorted(self.loose))
            self.loose = set()


class Seen:
    """The identities of what has been published, from `seen_from` on."""

    __slots__ = (
        "_acknowledged",
        "_apart",
        "_begins",
        "_forgotten",
        "_purged",
        "_revisions",
        "_segments",
        "_stub_id",
    )

    def __init__(
        self, *, acknowledged: bool = False, stub_id: Callable[[bytes], str] | None = None
    ) -> None:
        """Begin with nothing.

        Args:
            acknowledged: Whether an acknowledgement makes a further revision.
            stub_id: The record id of an element that has none, made of its bytes; must be what the
                topic has, or such an element is published again after a restart.
        """
        self._acknowledged = acknowledged
        self._stub_id = stub_id or digest_id
        self._segments = [_Segment(_BEGINNING)]
        self._begins = [_BEGINNING]
        self._apart: dict[int, datetime] = {}
        self._revisions: dict[int, tuple[int, datetime]] = {}
        self._purged = _BEGINNING
        self._forgotten = _BEGINNING

    def __len__(self) -> int:
        return sum(map(len, self._segments)) + len(self._apart)

    def digests(self, rows: Sequence[Row]) -> list[int]:
        """Return the identity of each row."""
        ids = [row.id or "" for row in rows]
        if "" in ids or max(map(len, ids), default=0) > LONGEST_ID:
            ids = list(map(self._id_of, rows))
        return list(map(hash, ids))

    def states(self, row: Row) -> list[int]:
        """Return what a further revision would change, as identities."""
        if isinstance(row, BrokenEvent):
            return []
        if not (row.deleted_at or row.acknowledged_at):
            return []
        return self._states(self._id_of(row), row.deleted_at, row.acknowledged_at)

    def digests_of(self, record: Remembered) -> list[int]:
        """Return the identity of the event of a record, and of what the record tells about it."""
        states = self._states(record.id, record.deleted_at, record.acknowledged_at)
        return [hash(record.id), *states]

    def _states(self, id_: str, deleted_at: str | None, acknowledged_at: str | None) -> list[int]:
        found = []
        if deleted_at:
            found.append(hash((id_, "deleted", deleted_at)))
        if self._acknowledged and acknowledged_at:
            found.append(hash((id_, "acknowledged", acknowledged_at)))
        return found

    def _id_of(self, row: Row) -> str:
        """The `id` of the row's record."""
        if row.id:
            return row.id if len(row.id) <= LONGEST_ID else identity(row)
        if isinstance(row, Event):
            return self._stub_id(repr(row).encode("utf-8", "surrogatepass"))
        return self._stub_id(row.raw)

    def unknown(self, digests: Sequence[int], times: Sequence[datetime]) -> set[int]:
        """Return those of `digests`, each created at the time beside it, that are not here."""
        left = set(digests)
        if self._apart:
            left = left.difference(self._apart)
        if not left:
            return left
        oldest = min(times)
        last = self._segments[-1]
        if oldest >= last.begins_at:
            return last.without(left)
        first = max(0, bisect_right(self._begins, oldest) - 1)
        ends = [*self._begins[first + 1 :], None]
        for segment, ends_before in zip(self._segments[first:], ends, strict=True):
            begins_at = segment.begins_at
            here = {
                digest
                for digest, moment in zip(digests, times, strict=True)
                if begins_at <= moment and (ends_before is None or moment < ends_before)
            }
            if here:
                left.difference_update(here - segment.without(here))
        return left

    def revision(self, digest: int) -> int:
        """Return the last revision of an event that is here."""
        return self._revisions.get(digest, (1, _BEGINNING))[0]

    def add(self, digests: Sequence[int], times: Sequence[datetime], now: datetime | None) -> None:
        """Take in what was published.

        Args:
            digests: Of events, oldest first.
            times: When each was created.
            now: The server's time; later events are kept apart.
        """
        if not times:
            return
        if now is not None and times[-1] > now + FUTURE:
            near = bisect_right(times, now + FUTURE)
            self._apart.update(zip(digests[near:], times[near:], strict=True))
            digests, times = digests[:near], times[:near]
            if not times:
                return
        last = self._segments[-1]
        most = LEAST_EVENTS if last.begins_at < self._forgotten else SEGMENT_EVENTS
        if len(last) >= most and times[-1] > last.ends_at:
            split = bisect_right(times, last.ends_at)
            if split:
                self._place(digests[:split], times[:split])
            last.freeze()
            last = _Segment(times[split])
            self._segments.append(last)
            self._begins.append(last.begins_at)
            digests, times = digests[split:], times[split:]
        self._place(digests, times)

    def _place(self, digests: Sequence[int], times: Sequence[datetime]) -> None:
        last = self._segments[-1]
        last.ends_at = max(last.ends_at, times[-1])
        if times[0] >= last.begins_at:
            last.loose.update(digests)
            self._tidy(last)
            return
        for digest, moment in zip(digests, times, strict=True):
            segment = self._segment_of(moment)
            # It may have come between the end of this one and the beginning of the next.
            segment.ends_at = max(segment.ends_at, moment)
            segment.loose.add(digest)
            self._tidy(segment)

    def _tidy(self, segment: _Segment) -> None:
        limit = segment.thaw_limit()
        if segment is self._segments[-1]:
            limit = max(limit, 2 * SEGMENT_EVENTS)
        if len(segment.loose) > limit:
            segment.freeze()

    def set_apart(self, digest: int, moment: datetime) -> None:
        """Take in, or keep, an event whose time is a guess; `moment` is the latest guess."""
        self._apart[digest] = max(moment, self._apart.get(digest, moment))

    def keep_apart(self, digest: int, moment: datetime) -> None:
        """Put off forgetting an event that stands apart: it was shown again near `moment`."""
        if digest in self._apart:
            self.set_apart(digest, moment)

    def revise(self, digest: int, revision: int, moment: datetime) -> None:
        """Note that a further revision of an event was published."""
        if revision > max(1, self.revision(digest)):
            self._revisions[digest] = (revision, moment)

    def restore(self, record: Remembered, now: datetime | None) -> None:
        """Take in a record that was read back from the topic.

        Args:
            record: What it says; without a `created_at` it is kept until `date`.
            now: As for `add`.
        """
        known = self.digests_of(record)
        moment = record.created_at or UNDATED
        if moment is UNDATED:
            self._apart.update(dict.fromkeys(known, moment))
        else:
            self.add(known, [moment] * len(known), now)
        if record.revision > 1:
            self.revise(hash(record.id), record.revision, moment)

    def date(self, moment: datetime) -> None:
        """Give what was restored without a time one that is not before its creation."""
        for digest, at in self._apart.items():
            if at is UNDATED:
                self._apart[digest] = moment
        for digest, (number, at) in self._revisions.items():
            if at is UNDATED:
                self._revisions[digest] = (number, moment)

    def forget_before(self, moment: datetime | None) -> None:
        """Let go of whole segments that end before `moment`, and of what stands apart."""
        if moment is None:
            return
        self._forgotten = moment
        segments = self._segments
        keep = 0
        while keep < len(segments) - 1 and segments[keep].ends_at < moment:
            keep += 1
        if keep:
            del segments[:keep], self._begins[:keep]
            segments[0].begins_at = self._begins[0] = _BEGINNING
        if moment > self._purged + PURGE_INTERVAL:
            self._purged = moment
            self._apart = {k: at for k, at in self._apart.items() if at >= moment}
            self._revisions = {k: v for k, v in self._revisions.items() if v[1] >= moment}

    def _segment_of(self, moment: datetime) -> _Segment:
        return self._segments[max(0, bisect_right(self._begins, moment) - 1)]


def digest_id(raw: bytes) -> str:
    """Return the record id of an element that has none."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()
