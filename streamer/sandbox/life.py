"""What happens to the account by itself: events that come, appear late, are erased, and vanish.

Computed when somebody asks, from how much time has passed, so that nothing runs in between.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

from streamer.sandbox import hostile
from streamer.sandbox.blocks import stamp_ms
from streamer.sandbox.dice import dice
from streamer.sandbox.plan import LivePlan, shares
from streamer.sandbox.timeline import identity_of, members_of

if TYPE_CHECKING:
    from streamer.sandbox.options import SandboxOptions
    from streamer.sandbox.timeline import Timeline

MOST_AT_ONCE: Final = 10_000
"""How much of what wears off happens in one step, if nobody asked for a long time."""


class Life:
    """The passing of time over all environments.

    Attributes:
        version: Another number whenever a listing may have changed.
    """

    def __init__(self, options: SandboxOptions, timelines: list[Timeline], now_ms: int) -> None:
        self.version = 0
        self._options = options
        self._timelines = timelines
        self._plan = LivePlan(seed=options.seed, start_ms=now_ms)
        self._late: list[tuple[float, int, int, int]] = []
        self._unseen: set[tuple[int, int]] = set()
        self._chance = dice(options.seed, "wear")
        self._worn = dict.fromkeys(("expire", "erase", "acknowledge"), 0)
        self._worn_from_ms = now_ms
        self.change(options, now_ms)

    def change(self, options: SandboxOptions, now_ms: int) -> None:
        """Go on with other options, or other environments."""
        self._options = options
        parts = shares(options.active or len(self._timelines), equal=options.equal_shares)
        self._plan.change(now_ms, options.rate, parts)
        self._worn = dict.fromkeys(self._worn, 0)
        self._worn_from_ms = now_ms
        self.version += 1

    def advance(self, now_ms: int) -> None:
        """Let everything happen that has become due."""
        reading = self._options.reading
        for due_ms, place, stirred in self._plan.due(now_ms):
            timeline = self._timelines[place]
            kind = self._hostile_kind()
            created_ms = hostile.TIMES.get(kind, due_ms)
            index = timeline.append(created_ms)
            if kind:
                self.corrupt(timeline, index, kind)
            late_ms = 0.0
            if (stirred >> 40 & 0xFFF) / 0x1000 < reading.late_share:
                late_ms = (stirred >> 52) / 0x1000 * reading.late_most_s * 1000
            self.appear(timeline, index, created_ms, due_ms + late_ms, now_ms)
        while self._late and self._late[0][0] <= now_ms:
            _, number, created_ms, index = heapq.heappop(self._late)
            self._unseen.discard((number, index))
            self._timelines[number].order.add(created_ms, index)
            self.version += 1
        self._wear(now_ms)

    def appear(
        self, timeline: Timeline, index: int, created_ms: int, visible_ms: float, now_ms: int
    ) -> None:
        """Put an event into its listing, now or when it becomes visible."""
        if visible_ms > now_ms:
            heapq.heappush(self._late, (visible_ms, timeline.number, created_ms, index))
            self._unseen.add((timeline.number, index))
        else:
            timeline.order.add(created_ms, index)
            self.version += 1

    def corrupt(self, timeline: Timeline, index: int, kind: str) -> None:
        """Give an event a hostile form."""
        event_id = timeline.event_id(index)
        created_at = stamp_ms(timeline.created_ms(index))
        ordinary = hostile.Ordinary(timeline.event(index), event_id.encode(), created_at)
        element = hostile.KINDS[kind](ordinary)
        identity = identity_of(members_of(element))
        if identity[0] is None and kind not in hostile.NAMELESS:
            identity = (event_id, created_at.decode())
        timeline.write_raw(index, element, identity)

    def vanish(self, timeline: Timeline, index: int) -> bool:
        """Take an event out of its listing; False if it is not in it."""
        self.version += 1
        self._unseen.add((timeline.number, index))
        return timeline.order.remove(index, timeline.created_ms(index))

    def is_visible(self, timeline: Timeline, index: int) -> bool:
        """Tell whether an event is in its listing: not while it is late, nor once it vanished."""
        return (timeline.number, index) not in self._unseen

    def _hostile_kind(self) -> str:
        """Draw the hostile form of a live event; empty for an ordinary one."""
        reading = self._options.reading
        if not reading.hostile_share or self._chance.random() >= reading.hostile_share:
            return ""
        return self._chance.choice(reading.hostile_kinds or hostile.USUAL)

    def _wear(self, now_ms: int) -> None:
        """Let events be erased, acknowledged and vanish, at their rates."""
        passed_s = (now_ms - self._worn_from_ms) / 1000
        for kind, done in self._worn.items():
            rate: float = getattr(self._options.reading, f"{kind}_rate")
            due = int(passed_s * rate) - done
            self._worn[kind] += due
            for _ in range(min(due, MOST_AT_ONCE)):
                self._befall(kind, now_ms)

    def _befall(self, kind: str, now_ms: int) -> None:
        timeline = self._chance.choice(self._timelines)
        if not len(timeline.order):
            return
        (run,) = timeline.order.runs(at := self._chance.randrange(len(timeline.order)), at + 1)
        index = run.start
        at_text = stamp_ms(now_ms).decode()
        if kind == "expire":
            self.vanish(timeline, index)
        elif kind == "erase":
            if index not in timeline.deleted:
                timeline.rewrite(index, {"deletedAt": at_text})
        else:
            timeline.rewrite(index, {"acknowledgedAt": at_text, "acknowledgedBy": "us_ag_worker"})
        self.version += 1
