"""One environment's way from what a look has found to what is committed.

Names are looked up, records are made, numbered and linked, and offered to the shard; once they are
committed the cursor is told. Two looks publish: the cursor's, which goes on reading while its last
capture commits, and a deep sweep beside it. They take turns from the numbering of records to their
offer, because the order of offers must be that of the numbers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from streamer.audit.checkpoint import Checkpoint, EnvironmentName, Policy, encode
from streamer.audit.encoder import Encoder
from streamer.audit.fragments import Pieces
from streamer.audit.normalize import read
from streamer.offer import Encoded, offer_of, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.audit.chain import Link
    from streamer.audit.names import Names
    from streamer.audit.normalize import Draft
    from streamer.audit.privacy import Privacy
    from streamer.capture.buffer import Buffer
    from streamer.capture.cursor import Cursor
    from streamer.capture.environments import Environments
    from streamer.capture.position import Capture, Position
    from streamer.capture.room import Room
    from streamer.capture.scout import Scout
    from streamer.config import Settings
    from streamer.enrichment.directory import Directory
    from streamer.flatfile.client import FlatfileClient
    from streamer.flatfile.models import Environment
    from streamer.flatfile.server_profile import ServerProfile
    from streamer.inventory.told import Told
    from streamer.offer import Committer
    from streamer.telemetry.board import Board, EnvironmentState, EnvironmentStatus
    from streamer.telemetry.incidents import Incidents

CHECKPOINT_EVERY_S: Final = 900.0
"""An environment's checkpoint is written again at least this often, also while it is idle or its
polls fail, so that a reader of the topic can tell silence from blindness."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all archivers of a worker, and their publishers, work with; built by the daemon.

    Attributes:
        writer: Names this worker in its checkpoints.
    """

    settings: Settings
    client: FlatfileClient
    directory: Directory
    told: Told
    environments: Environments
    scout: Scout
    buffer: Buffer
    profile: ServerProfile
    board: Board
    incidents: Incidents
    privacy: Privacy
    account_id: str
    writer: str
    pieces: Pieces = field(default_factory=Pieces)


class _Understood(NamedTuple):
    """A capture's events with the names that go into its records."""

    drafts: list[Draft]
    names: Names
    observed: str


@dataclass(slots=True)
class _Pending:
    """A capture that was offered and is not yet committed."""

    capture: Capture
    offers: list[asyncio.Future[int | None]]
    encoded: Encoded
    held_bytes: int


class _Landmarks(NamedTuple):
    """What a checkpoint is written for as soon as it changes."""

    state: EnvironmentState
    swept: datetime | None
    deep_swept: datetime | None


class Publisher:
    """The chain of one environment, and its checkpoint.

    Attributes:
        deep_swept: When the last complete deep sweep began: for the checkpoint.
        last: Offset of the last record, likewise; set by whoever knows it from the log.
    """

    def __init__(
        self,
        parts: Parts,
        environment: Environment,
        *,
        cursor: Cursor,
        link: Link,
        status: EnvironmentStatus,
        room: Room,
        committer: Committer,
        deep_swept: datetime | None,
    ) -> None:
        """Begin behind the last record.

        Args:
            parts: What all work with.
            environment: As it is listed now.
            cursor: Told of what is committed.
            link: Where the chain stands.
            status: Told as well; its `state` goes into the checkpoint.
            room: Given back what a capture held.
            committer: The shard.
            deep_swept: As the checkpoint has it.
        """
        self.deep_swept = deep_swept
        self.last: int | None = None
        self._parts = parts
        self._environment = environment
        self._key = environment.id.encode()
        self._cursor = cursor
        self._link = link
        self._status = status
        self._room = room
        self._committer = committer
        self._encoder = self._new_encoder(environment)
        self._pending: _Pending | None = None
        self._settling = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._written_at = float("-inf")
        self._written = self._made = self._landmarks

    async def publish(self, capture: Capture, held_bytes: int) -> None:
        """Offer a capture of the cursor, once the one before it is committed.

        Args:
            capture: Its readings are made use of, and gone then.
            held_bytes: What its pages hold of the room until the commit.
        """
        understood = await self._understand(capture)
        async with self._turn:
            encoded = self._encode(understood)
            await self.settle()
            offers = self._offer(encoded, capture)
            self._pending = _Pending(capture, offers, encoded, held_bytes)

    async def settle(self) -> None:
        """Wait until the capture that was offered is committed, if there is one, and move on."""
        async with self._settling:
            pending, self._pending = self._pending, None
            if pending is None:
                return
            offsets = [await offer for offer in pending.offers]
            self._cursor.confirm(pending.capture, offsets[0])
            self._note_published(pending.encoded)
            self._status.watermark = pending.capture.position.watermark
            self._room.release(pending.held_bytes)

    async def publish_beside(self, capture: Capture) -> None:
        """Commit what another look has found, between two captures of the cursor."""
        understood = await self._understand(capture)
        async with self._turn:
            await self.settle()
            encoded = self._encode(understood)
            for offer in self._offer(encoded, None):
                await offer
            self._note_published(encoded)

    async def keep_checkpoint(self) -> None:
        """Write the checkpoint if it is due: it is old, its state is, or a sweep was completed."""
        is_due = self._clock() - self._written_at >= CHECKPOINT_EVERY_S
        if is_due or self._landmarks != self._written:
            await self.write_checkpoint()

    async def write_checkpoint(self) -> None:
        """Write the checkpoint now."""
        cursor = self._cursor
        async with self._turn:
            link = self._link

            def checkpoint(_: int | None, end: int) -> bytes:
                return self._checkpoint(cursor.position, link, cursor.tail(end))

            await self._committer.offer(offer_of(self._key, None, checkpoint))
            self._note_written()

    def note_changes(self) -> None:
        """Take over the environment's new name, if it was renamed, and what the broker takes."""
        listed = self._parts.environments.known.get(self._environment.id, self._environment)
        most_bytes = self._committer.terms(self._key).max_record_bytes
        if listed != self._environment or most_bytes != self._encoder.max_record_bytes:
            self._environment = listed
            self._status.name = listed.name
            self._encoder = self._new_encoder(listed)

    async def _understand(self, capture: Capture) -> _Understood:
        drafts = [read(reading.row, reading.revision) for reading in capture.readings]
        self._parts.told.note(drafts)
        names = await self._parts.directory.names_for(
            drafts, self._environment.id, age_s=capture.age_s
        )
        observed = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        # Their traces do for the rest; a page would be held twice until its commit.
        capture.readings.clear()
        return _Understood(drafts, names, observed)

    def _encode(self, understood: _Understood) -> Encoded:
        """Number and link records. Whoever does this has the turn, and keeps it up to the offer."""
        refused = self._committer.terms(self._key).refused
        sealed, self._link = self._encoder.encode(*understood, self._link, refused=refused)
        encoded = Encoded.of(understood.drafts, sealed)
        understood.drafts.clear()
        return encoded

    def _offer(self, encoded: Encoded, capture: Capture | None) -> list[asyncio.Future[int | None]]:
        """Hand records to the shard, in as many parts as their size demands.

        Only the last part of a capture leads to its position: until then, what is published of it
        must be found again. What is of no capture of the cursor leaves it where it stands.
        """
        parts = split(encoded, self._committer.terms(self._key).most_records)
        cursor = self._cursor
        firsts: list[int] = []

        def checkpoint_of(part: Encoded) -> Callable[[int | None, int], bytes]:
            link, is_last = part.link, part is parts[-1]

            def checkpoint(first: int | None, end: int) -> bytes:
                if first is not None:
                    firsts.append(first)
                    self.last = first + len(part.sealed) - 1
                if capture is None:
                    return self._checkpoint(cursor.position, link, cursor.tail(end))
                if is_last:
                    tail = cursor.tail_after(capture, firsts[0], end)
                    return self._checkpoint(capture.position, link, tail)
                tail = min(cursor.tail(firsts[0]), firsts[0])
                return self._checkpoint(cursor.position, link, tail)

            return checkpoint

        return [
            self._committer.offer(offer_of(self._key, part, checkpoint_of(part))) for part in parts
        ]

    @property
    def _landmarks(self) -> _Landmarks:
        return _Landmarks(self._status.state, self._cursor.position.swept, self.deep_swept)

    def _note_published(self, encoded: Encoded) -> None:
        self._note_written()
        self._status.sequence = encoded.link.sequence
        self._status.records += len(encoded.sealed)
        for reason, size_bytes in encoded.dead_letters:
            self._parts.incidents.dead_letter(self._environment.id, reason, size_bytes)

    def _note_written(self) -> None:
        # What has changed since the checkpoint was made is in none yet.
        self._written, self._written_at = self._made, self._clock()

    def _checkpoint(self, position: Position, link: Link, tail: int) -> bytes:
        self._made = self._landmarks._replace(swept=position.swept)
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
            deep_swept=self.deep_swept,
            seen_from=position.seen_from,
            tail=tail,
            last=self.last,
            policy=Policy(settings.exclude_topics, privacy.policy),
            writer=self._parts.writer,
        )
        return encode(checkpoint)

    def _new_encoder(self, environment: Environment) -> Encoder:
        return Encoder(
            environment,
            self._parts.account_id,
            max_record_bytes=self._committer.terms(self._key).max_record_bytes,
            privacy=self._parts.privacy,
            pieces=self._parts.pieces,
        )
