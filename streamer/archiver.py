"""One environment, from its checkpoint to its commits: poll, resolve, normalize, offer, confirm.

The life of one event, in this order: the cursor looks and drops what was seen; the directory
answers names; `audit` makes the record, takes out what must not leave, numbers and links it; the
shard commits; the cursor confirms. While one capture commits, the next is read: that is all that
the read position runs ahead. Backpressure is the await.

Nothing is undone here: after a failed commit the shard throws this archiver away and builds another
one from the log.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from streamer.audit.checkpoint import Checkpoint, EnvironmentName, Policy, encode
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read
from streamer.capture.cursor import Look
from streamer.capture.presence import Presence
from streamer.capture.schedule import Schedule
from streamer.errors import FlatfileAnswerError, FlatfileError
from streamer.flatfile.budget import Priority
from streamer.offer import Encoded, offer_of, split
from streamer.telemetry.board import EnvironmentStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.audit.chain import Link
    from streamer.audit.privacy import Privacy
    from streamer.capture.buffer import Buffer
    from streamer.capture.cursor import Cursor
    from streamer.capture.environments import Environments
    from streamer.capture.position import Capture, Position
    from streamer.capture.scout import Scout
    from streamer.config import Settings
    from streamer.enrichment.directory import Directory
    from streamer.flatfile.client import FlatfileClient
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.models import Environment
    from streamer.flatfile.pages import Page
    from streamer.flatfile.server_profile import ServerProfile
    from streamer.inventory.told import Told
    from streamer.offer import Committer
    from streamer.telemetry.board import Board, EnvironmentState
    from streamer.telemetry.incidents import Incidents

CHECKPOINT_EVERY_S: Final = 900.0
"""An environment's checkpoint is written again at least this often, also while it is idle or its
polls fail, so that a reader of the topic can tell silence from blindness."""

PAGE_BYTES: Final = 1024 * 1024
"""What a page is taken for before the first one was seen."""

_PRIORITIES: Final = {
    Look.FAST: Priority.LIVE,
    Look.WIDE: Priority.LIVE,
    Look.SWEEP: Priority.SWEEP,
    Look.DEEP_SWEEP: Priority.DEEP_SWEEP,
}


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where an environment stands, as restored from the log.

    Attributes:
        known: Whether it has a checkpoint.
        state: How it answered by then.
    """

    cursor: Cursor
    link: Link
    known: bool
    state: EnvironmentState


@dataclass(frozen=True, slots=True)
class Parts:
    """What all archivers of a worker work with; built by the daemon.

    Attributes:
        writer: Names this worker in its checkpoints.
    """

    settings: Settings
    client: FlatfileClient
    directory: Directory
    environments: Environments
    scout: Scout
    buffer: Buffer
    profile: ServerProfile
    board: Board
    incidents: Incidents
    privacy: Privacy
    account_id: str
    writer: str


@dataclass(slots=True)
class _Pending:
    """A capture that was offered and is not yet committed."""

    capture: Capture
    offers: list[asyncio.Future[int | None]]
    encoded: Encoded
    held_bytes: int


class Archiver:
    """One environment's reader and writer."""

    def __init__(
        self,
        parts: Parts,
        environment: Environment,
        shard: int,
        resumed: Resumed,
        committer: Committer,
    ) -> None:
        self._parts = parts
        self._environment = environment
        self._committer = committer
        self._cursor = resumed.cursor
        self._link = resumed.link
        self._known = resumed.known
        self._key = environment.id.encode()
        self._clock = asyncio.get_running_loop().time
        self._schedule = self._new_schedule()
        self._presence = Presence(resumed.state, clock=self._clock)
        self._encoder = self._new_encoder(environment)
        self._status = EnvironmentStatus(
            environment.id,
            environment.name,
            shard,
            state=resumed.state,
            watermark=self._cursor.position.watermark,
            sequence=self._link.sequence,
        )
        self._woken = asyncio.Event()
        self._page_bytes = PAGE_BYTES
        self._held_bytes = 0
        self._captured_bytes = 0
        self._pending: _Pending | None = None
        self._look: Look = Look.FAST
        self._written_at = float("-inf")
        self._written: Position = self._cursor.position
        self._written_state: EnvironmentState = self._status.state
        self._dropped = 0

    def wake(self) -> None:
        """Look soon: something tells that there are news."""
        self._schedule.wake()
        self._woken.set()

    async def run(self) -> None:
        """Archive, for ever. Ends by being cancelled, which is safe at any moment."""
        self._parts.board.environments[self._environment.id] = self._status
        self._parts.scout.listen(self._environment.id, self.wake)
        self._parts.environments.listen(self._environment.id, self._return)
        try:
            if not self._known:
                await self._write_checkpoint()
            while True:
                await self._wait()
                await self._look_once()
                await self._keep_checkpoint()
        finally:
            self._parts.scout.unlisten(self._environment.id, self.wake)
            self._parts.environments.unlisten(self._environment.id, self._return)
            # Also of captures that were never committed: a shard that starts over reads them anew.
            self._release(self._held_bytes)

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
        self._note_changes()
        self._look = schedule.next_look(self._cursor.position)
        try:
            last, news = await self._archive()
        except FlatfileError as error:
            if isinstance(error, FlatfileAnswerError):
                self._parts.profile.shrink()
            self._presence.failed(error)
            status.state = self._presence.state
            schedule.failed(self._presence.wait_s)
            self._parts.incidents.poll_failed(
                self._environment.id, error.what, wait_s=schedule.wait_s
            )
            return
        self._presence.answered()
        status.state = self._presence.state
        status.polled = time.monotonic()
        status.watermark = self._cursor.position.watermark
        schedule.looked(self._look, news=news, more=last.more, server_at=last.server_at)

    async def _archive(self) -> tuple[Capture, bool]:
        """Look once, publishing as it comes; the last capture, and whether there were news."""
        last: Capture | None = None
        news = False
        try:
            async with aclosing(self._cursor.look(self._look, self._fetch)) as captures:
                async for capture in captures:
                    last = capture
                    held = self._held_bytes - self._captured_bytes
                    self._captured_bytes += held
                    encoded = await self._encode(capture) if capture.readings else None
                    await self._settle()
                    if encoded is not None:
                        news = True
                        self._pending = self._offer(capture, encoded, held)
                    else:
                        self._cursor.confirm(capture, None)
                        self._status.watermark = capture.position.watermark
                        self._release(held)
        finally:
            # Also when a fetch failed: what was offered is being committed all the same.
            await self._settle()
            # What was read and not captured is read again.
            self._captured_bytes = self._held_bytes
            self._release(self._held_bytes)
        self._note_dropped()
        if last is None:
            raise FlatfileAnswerError(
                where=f"environment {self._environment.id}",
                what="a look ended without a result",
                next_step="It is tried again.",
            )
        return last, news

    async def _fetch(self, request: PageRequest) -> Page:
        reserved = self._page_bytes
        if self._held_bytes > self._captured_bytes:
            # A look that holds pages must not wait for what only its own end gives back.
            self._parts.buffer.adjust(reserved)
        else:
            if not self._parts.buffer.has_room(reserved):
                # All would wait for what all hold until their next page is here.
                await self._settle()
            await self._parts.buffer.reserve(reserved)
        self._held_bytes += reserved
        page = await self._parts.client.events_page(
            request, self._environment.id, priority=_PRIORITIES[self._look]
        )
        self._parts.buffer.adjust(page.size_bytes - reserved)
        self._held_bytes += page.size_bytes - reserved
        if page.rows:
            self._page_bytes = page.size_bytes
        return page

    async def _encode(self, capture: Capture) -> Encoded:
        drafts = [read(reading.row, reading.revision) for reading in capture.readings]
        newest = capture.readings[-1].created_at
        age = timedelta() if capture.server_at is None else capture.server_at - newest
        names = await self._parts.directory.names_for(
            drafts, self._environment.id, age_s=age.total_seconds()
        )
        observed = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sealed, self._link = self._encoder.encode(
            drafts, names, observed, self._link, refused=self._committer.terms(self._key).refused
        )
        # Their traces do for the rest; a page would be held twice until its commit.
        capture.readings.clear()
        return Encoded.of(drafts, sealed)

    def _offer(self, capture: Capture, encoded: Encoded, held_bytes: int) -> _Pending:
        """Hand a capture to the shard, in as many parts as its size demands."""
        parts = split(encoded, self._committer.terms(self._key).most_records)
        cursor = self._cursor
        firsts: list[int] = []

        def checkpoint_of(part: Encoded, *, last: bool) -> Callable[[int | None, int], bytes]:
            link = part.link

            def checkpoint(first: int | None, end: int) -> bytes:
                if first is not None:
                    firsts.append(first)
                if last:
                    tail = cursor.tail_after(capture, firsts[0], end)
                    return self._checkpoint(capture.position, link, tail)
                # Not yet at the capture's position: what is published of it must be found again.
                tail = min(cursor.tail(firsts[0]), firsts[0])
                return self._checkpoint(cursor.position, link, tail)

            return checkpoint

        offers = [
            self._committer.offer(
                offer_of(self._key, part, checkpoint_of(part, last=part is parts[-1]))
            )
            for part in parts
        ]
        return _Pending(capture, offers, encoded, held_bytes)

    async def _settle(self) -> None:
        """Wait until the capture that was offered is committed, if there is one, and move on."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        offsets = [await offer for offer in pending.offers]
        self._cursor.confirm(pending.capture, offsets[0])
        self._note_written(pending.capture.position)
        status = self._status
        status.sequence = pending.encoded.link.sequence
        status.records += len(pending.encoded.sealed)
        status.watermark = pending.capture.position.watermark
        for reason, size_bytes in pending.encoded.dead_letters:
            self._parts.incidents.dead_letter(self._environment.id, reason, size_bytes)
        self._release(pending.held_bytes)

    async def _keep_checkpoint(self) -> None:
        """Write the checkpoint if it is due: it is old, its state is, or a sweep was completed."""
        due = self._clock() - self._written_at >= CHECKPOINT_EVERY_S
        due = due or self._status.state != self._written_state
        if due or self._cursor.position.swept != self._written.swept:
            await self._write_checkpoint()

    async def _write_checkpoint(self) -> None:
        cursor, link = self._cursor, self._link

        def checkpoint(_: int | None, end: int) -> bytes:
            return self._checkpoint(cursor.position, link, cursor.tail(end))

        position = cursor.position
        await self._committer.offer(offer_of(self._key, None, checkpoint))
        self._note_written(position)

    def _note_written(self, position: Position) -> None:
        self._written, self._written_at = position, self._clock()
        self._written_state = self._status.state

    def _checkpoint(self, position: Position, link: Link, tail: int) -> bytes:
        settings, privacy = self._parts.settings.capture, self._parts.privacy
        checkpoint = Checkpoint(
            account=self._parts.account_id,
            environment=EnvironmentName(
                self._environment.id, privacy.plain(self._environment.name)
            ),
            state=self._status.state,
            sequence=link.sequence,
            head=link.head.hex(),
            watermark=position.watermark,
            polled=position.polled,
            swept=position.swept,
            seen_from=position.seen_from,
            tail=tail,
            policy=Policy(settings.exclude_topics, privacy.policy),
            writer=self._parts.writer,
        )
        return encode(checkpoint)

    def _note_changes(self) -> None:
        """Take over the environment's new name, if it was renamed, and what the broker takes."""
        listed = self._parts.environments.known.get(self._environment.id, self._environment)
        most_bytes = self._committer.terms(self._key).max_record_bytes
        if listed != self._environment or most_bytes != self._encoder.max_record_bytes:
            self._environment = listed
            self._status.name = listed.name
            self._encoder = self._new_encoder(listed)

    def _new_schedule(self) -> Schedule:
        # Without a slot, so without deep sweeps: they need what the topic has of seven days, and
        # to read that anew for every environment of a shard would cost more than it finds.
        return Schedule(self._parts.settings.capture, clock=self._clock)

    def _new_encoder(self, environment: Environment) -> Encoder:
        return Encoder(
            environment,
            self._parts.account_id,
            max_record_bytes=self._committer.terms(self._key).max_record_bytes,
            privacy=self._parts.privacy,
        )

    def _note_dropped(self) -> None:
        late = self._cursor.dropped - self._dropped
        if late:
            self._dropped = self._cursor.dropped
            self._parts.incidents.dropped(self._environment.id, "too_late", late)

    def _release(self, held_bytes: int) -> None:
        self._captured_bytes -= held_bytes
        self._held_bytes -= held_bytes
        self._parts.buffer.release(held_bytes)
