"""One environment, from its checkpoint to its commits: poll, resolve, normalize, offer, confirm.

The life of one event, in this order: the cursor looks and drops what was seen; the directory
answers names; `audit` makes the record, takes out what must not leave, numbers and links it; the
shard commits; the cursor confirms. While one capture commits, the next is read: that is all that
the read position runs ahead. Backpressure is the await. All from the names on is `publisher`'s.

Nothing is undone here: after a failed commit the shard throws this archiver away and builds another
one from the log.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from streamer.capture.cursor import Look
from streamer.capture.deep_sweep import DeepSweep
from streamer.capture.presence import Presence
from streamer.capture.published import SeenInLog
from streamer.capture.room import Room
from streamer.capture.schedule import Schedule
from streamer.errors import (
    AnswerTooLargeError,
    EnvironmentReturnedError,
    FlatfileAnswerError,
    FlatfileError,
    FlatfileNotFoundError,
)
from streamer.flatfile.budget import Priority
from streamer.flatfile.listing import PageRequest
from streamer.publisher import Publisher
from streamer.telemetry.board import EnvironmentStatus

if TYPE_CHECKING:
    from datetime import datetime

    from streamer.audit.chain import Link
    from streamer.capture.cursor import Cursor
    from streamer.capture.position import Capture
    from streamer.capture.published import Published
    from streamer.flatfile.models import Environment
    from streamer.flatfile.pages import Page
    from streamer.offer import Committer
    from streamer.publisher import Parts
    from streamer.telemetry.board import EnvironmentState

_PRIORITIES: Final = {
    Look.FAST: Priority.LIVE,
    Look.WIDE: Priority.LIVE,
    Look.SWEEP: Priority.SWEEP,
}


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where an environment stands, as restored from the log.

    Attributes:
        known: Whether it has a checkpoint.
        state: How it answered by then.
        last: Offset of its last record.
        deep_swept: When its last complete deep sweep began.
        is_read_back: Whether the cursor knows what was published. Otherwise nothing may be read,
            only asked whether it answers again.
    """

    cursor: Cursor
    link: Link
    known: bool
    state: EnvironmentState
    last: int | None = None
    deep_swept: datetime | None = None
    is_read_back: bool = True


class Archiver:
    """One environment's reader and writer.

    Attributes:
        server_at: The server's time when the last complete look began.
    """

    def __init__(
        self,
        parts: Parts,
        environment: Environment,
        shard: int,
        resumed: Resumed,
        committer: Committer,
    ) -> None:
        self._parts = parts
        self._id = environment.id
        self._cursor = resumed.cursor
        self._known = resumed.known
        self._is_read_back = resumed.is_read_back
        self._clock = asyncio.get_running_loop().time
        self._schedule = self._new_schedule()
        self._presence = Presence(resumed.state, clock=self._clock)
        self._status = EnvironmentStatus(
            environment.id,
            environment.name,
            shard,
            state=resumed.state,
            watermark=self._cursor.position.watermark,
            sequence=resumed.link.sequence,
        )
        self._woken = asyncio.Event()
        self._room = Room(parts.buffer)
        self._publisher = Publisher(
            parts,
            environment,
            cursor=resumed.cursor,
            link=resumed.link,
            status=self._status,
            room=self._room,
            committer=committer,
            deep_swept=resumed.deep_swept,
        )
        self._publisher.last = resumed.last
        self._look: Look = Look.FAST
        self._dropped = 0
        self.server_at: datetime | None = None

    def wake(self) -> None:
        """Look soon: something tells that there are news."""
        self._schedule.wake()
        self._woken.set()

    async def run(self) -> None:
        """Archive, for ever. Ends by being cancelled, which is safe at any moment.

        Raises:
            EnvironmentReturnedError: It answers, and has to be read back first.
        """
        self._parts.board.environments[self._id] = self._status
        self._parts.scout.listen(self._id, self.wake)
        self._parts.environments.listen(self._id, self._return)
        try:
            if not self._known:
                await self._publisher.write_checkpoint()
            while True:
                await self._wait()
                await self._look_once()
                await self._publisher.keep_checkpoint()
        finally:
            self._parts.scout.unlisten(self._id, self.wake)
            self._parts.environments.unlisten(self._id, self._return)
            # Also of captures that were never committed: a shard that starts over reads them anew.
            self._room.clear()

    @property
    def is_polled(self) -> bool:
        """Whether the environment answers."""
        return self._status.state == "polled"

    @property
    def deep_swept(self) -> datetime | None:
        """When the last complete deep sweep began; at first, the first look."""
        return self._publisher.deep_swept

    @property
    def remembers_from(self) -> datetime | None:
        """Nothing that was created before is published any more, but by deep sweeps."""
        return self._cursor.position.seen_from

    async def sweep_deeply(self, published: Published, before: datetime) -> None:
        """Look through the days before what is remembered, beside `run`, which goes on meanwhile.

        Args:
            published: What was published of what was created in those days.
            before: Where they end: `remembers_from` as it was before the end of the log was asked
                for, up to which `published` was read.

        Raises:
            FlatfileError: A page could not be read.
        """
        settings = self._parts.settings.capture
        seen = SeenInLog(
            published,
            self._id,
            acknowledged=settings.revisions == "acknowledged",
            stub_id=self._parts.privacy.stub_id,
        )
        start = max(published.knows_from, self._cursor.floor or published.knows_from)
        if start >= before:
            self._publisher.deep_swept = self.server_at
            return
        sweep = DeepSweep(
            seen,
            self._parts.profile,
            start=start,
            before=before,
            exclude_topics=settings.exclude_topics,
        )
        async with aclosing(sweep.look(self._fetch_deep)) as captures:
            async for capture in captures:
                await self._publisher.publish_beside(capture)
                sweep.confirm(capture)
        self._publisher.deep_swept = sweep.begun_at or self.deep_swept

    def _return(self) -> None:
        """Look at once, although it rests: the account lists this environment again."""
        if self._presence.is_resting:
            self._schedule = self._new_schedule()
            self._woken.set()

    async def _wait(self) -> None:
        # Being woken does not shorten the wait after a failure: the schedule decides.
        while (wait_s := self._schedule.wait_s) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            self._woken.clear()
        self._woken.clear()

    async def _look_once(self) -> None:
        schedule, status = self._schedule, self._status
        self._publisher.note_changes()
        self._look = schedule.next_look(self._cursor.position)
        try:
            last, news = await self._archive()
        except FlatfileError as error:
            if isinstance(error, FlatfileAnswerError):
                self._parts.profile.shrink()
            self._presence.failed(error)
            status.state = self._presence.state
            is_missing = isinstance(error, FlatfileNotFoundError)
            status.is_gone = is_missing and not self._parts.environments.is_listed(self._id)
            schedule.failed(self._presence.wait_s)
            self._parts.incidents.poll_failed(self._id, error.what, wait_s=schedule.wait_s)
            return
        self._presence.answered()
        status.state = self._presence.state
        status.is_gone = False
        status.polled = time.monotonic()
        status.watermark = self._cursor.position.watermark
        self.server_at = last.server_at or self.server_at
        self._publisher.deep_swept = self.deep_swept or last.server_at
        schedule.looked(self._look, news=news, more=last.more, server_at=last.server_at)

    async def _archive(self) -> tuple[Capture, bool]:
        """Look once, publishing as it comes; the last capture, and whether there were news."""
        if not self._is_read_back:
            await self._find_out()
        last: Capture | None = None
        news = False
        try:
            async with aclosing(self._cursor.look(self._look, self._fetch)) as captures:
                async for capture in captures:
                    last = capture
                    held_bytes = self._room.capture()
                    if capture.readings:
                        news = True
                        await self._publisher.publish(capture, held_bytes)
                        continue
                    await self._publisher.settle()
                    self._cursor.confirm(capture, None)
                    self._status.watermark = capture.position.watermark
                    self._room.release(held_bytes)
        finally:
            # Also when a fetch failed: what was offered is being committed all the same.
            await self._publisher.settle()
            # What was read and not captured is read again.
            self._room.clear()
        self._note_dropped()
        if last is None:
            raise FlatfileAnswerError(
                where=f"environment {self._id}",
                what="a look ended without a result",
                next_step="It is tried again.",
            )
        return last, news

    async def _find_out(self) -> None:
        """Ask for a single event of an environment that did not answer for a while."""
        await self._parts.client.events_page(PageRequest(None, 1, 1), self._id)
        raise EnvironmentReturnedError(
            where=f"environment {self._id}",
            what="answers again, and its records were not read back meanwhile",
            next_step="Its shard is restored with it.",
        )

    async def _fetch(self, request: PageRequest) -> Page:
        reserved = await self._room.reserve(self._publisher.settle)
        try:
            page = await self._parts.client.events_page(
                request, self._id, priority=_PRIORITIES[self._look]
            )
        except AnswerTooLargeError:
            self._room.give_back(reserved)  # The look goes on with a smaller page.
            raise
        self._room.take(page, reserved)
        return page

    async def _fetch_deep(self, request: PageRequest) -> Page:
        # No room is kept for it: to wait for some would take it from live polls.
        return await self._parts.client.events_page(request, self._id, priority=Priority.DEEP_SWEEP)

    def _new_schedule(self) -> Schedule:
        return Schedule(self._parts.settings.capture, clock=self._clock)

    def _note_dropped(self) -> None:
        late = self._cursor.dropped - self._dropped
        if late:
            self._dropped = self._cursor.dropped
            self._parts.incidents.dropped(self._id, "too_late", late)
