"""What the sandbox showed, and when: the truth that a reader's output is held against.

An event is entered once per environment, when the response that showed it had left; and once more
for every other `deletedAt` that it was shown with later. What has no id that can be read is known
by the SHA-256 of its bytes. Times of a backlog are kept in arrays of
eight bytes an event, so that a ledger of a million events is no burden.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import TYPE_CHECKING, Any

import orjson

from streamer.sandbox.blocks import stamp_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streamer.sandbox.timeline import Timeline

Shown = list[tuple["Timeline", list[range]]]
"""Which events of which environments a response shows."""


class Ledger:
    """Everything that was shown so far, by environment and event."""

    def __init__(self) -> None:
        self._timelines: dict[int, Timeline] = {}
        self._first_ms: dict[int, array[int]] = {}
        self._revisions: dict[tuple[int, int], list[tuple[str | None, int]]] = {}

    def enter(self, shown: Shown, at_ms: int) -> None:
        """Enter what a response showed that has left by now."""
        for timeline, runs in shown:
            self._timelines[timeline.number] = timeline
            first_ms = self._first_ms.setdefault(timeline.number, array("q"))
            if len(first_ms) < len(timeline):
                first_ms.extend([0] * (len(timeline) - len(first_ms)))
            for run in runs:
                for index in run:
                    if not first_ms[index]:
                        first_ms[index] = at_ms
            if timeline.deleted:
                self._enter_revisions(timeline, runs, at_ms)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield every entry, environment by environment, a revision after its first showing."""
        for number, first_ms in self._first_ms.items():
            timeline = self._timelines[number]
            for index in range(len(first_ms)):
                if first_ms[index]:
                    yield from self._entries_of(timeline, index, first_ms[index])

    def lines(self) -> Iterator[bytes]:
        """Yield the entries as JSON lines, a few hundred at a time."""
        lines: list[bytes] = []
        for entry in self.entries():
            lines.append(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            if len(lines) == 500:
                yield b"".join(lines)
                lines.clear()
        yield b"".join(lines)

    def _enter_revisions(self, timeline: Timeline, runs: Iterable[range], at_ms: int) -> None:
        first_ms = self._first_ms[timeline.number]
        for run in runs:
            for index in run:
                deleted = timeline.deleted.get(index)
                if deleted is None:
                    continue
                seen = self._revisions.setdefault((timeline.number, index), [])
                if not seen and first_ms[index] < at_ms:
                    seen.append((None, first_ms[index]))
                if all(deleted != known for known, _ in seen):
                    seen.append((deleted, at_ms))

    def _entries_of(self, timeline: Timeline, index: int, at_ms: int) -> Iterator[dict[str, Any]]:
        event_id, created_at = timeline.identity(index)
        for deleted, shown_ms in self._revisions.get((timeline.number, index), [(None, at_ms)]):
            entry = {
                "id": event_id,
                "environment": timeline.environment_id,
                "createdAt": created_at,
                "first_shown_at": stamp_ms(shown_ms).decode(),
                "deletedAt": deleted,
            }
            if event_id is None:
                entry["sha256"] = hashlib.sha256(timeline.event(index)).hexdigest()
            yield entry
