"""The deep sweeps of a shard: once a day, for all its environments together.

What was published in the window is read back from the log once for all of them, since reading it
for each would cost more than it finds; then one environment after the other is looked through, with
what the rate budget leaves. Nothing waits for any of this, and what fails is tried again later.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from streamer.audit.record import NoRecordError
from streamer.audit.record import restore as read_record
from streamer.capture.published import Published
from streamer.errors import FlatfileError, KafkaUnreachableError, ShardRefusedError
from streamer.kafka.reader import LogReader
from streamer.shard.restore import remembered

if TYPE_CHECKING:
    from streamer.archiver import Archiver
    from streamer.kafka.reader import Message
    from streamer.shard.surroundings import Surroundings

log = structlog.get_logger()

EVERY: Final = timedelta(days=1)

TOGETHER: Final = timedelta(hours=12)
"""Where one environment is due, those whose last deep sweep is older than this go with it."""

CHECKED_EVERY_S: Final = 600.0
"""Between two looks at what is due."""

RETRIED_AFTER_S: Final = 3600.0
"""After one that failed, since the next one reads the log again."""

CLOCKS_DIFFER: Final = timedelta(days=1)
"""By how much the broker's clock may be behind Flatfile's, unless the records show that it is more;
so much further back is read."""

MOST_RECORDS: Final = 4_000_000
"""Of which digests are kept: 32 MB. Of a longer log the newest part is known, and swept."""

PAUSE_S: Final = 0.1
"""Between two chunks of the log, so that live events are not delayed by reading it."""


class DeepSweeps:
    """The deep sweeps of one shard, while it runs."""

    def __init__(self, shard: int, around: Surroundings) -> None:
        self._shard = shard
        self._around = around
        self._archivers: list[Archiver] = []
        self._window = timedelta(seconds=around.settings.capture.deep_sweep_window)

    def add(self, archiver: Archiver) -> None:
        """Sweep an environment as well."""
        self._archivers.append(archiver)

    async def run(self) -> None:
        """Sweep what is due, for ever."""
        wait_s = CHECKED_EVERY_S
        while self._window:
            # Not in step with other shards.
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            try:
                async with self._around.sweeping:
                    await self.sweep()
            except (FlatfileError, KafkaUnreachableError, ShardRefusedError) as error:
                log.warning("shard.deep_sweep_failed", shard=self._shard, reason=str(error))
                wait_s = RETRIED_AFTER_S
            else:
                wait_s = CHECKED_EVERY_S

    async def sweep(self) -> None:
        """Sweep once, if any environment is due.

        Raises:
            FlatfileError: Of the last environment that could not be read; the others are swept.
            KafkaUnreachableError: The log could not be read.
            ShardRefusedError: There is something in it that the client cannot read.
        """
        if not any(_is_due(archiver, EVERY) for archiver in self._archivers):
            return
        began = time.monotonic()
        # Taken before the log's end is asked for: what is published meanwhile is newer than this.
        due = [
            (archiver, before)
            for archiver in self._archivers
            if _is_due(archiver, TOGETHER) and (before := archiver.remembers_from) is not None
        ]
        now = max(archiver.server_at for archiver, _ in due if archiver.server_at is not None)
        published = await self._read_back(now - self._window, now)
        failed: FlatfileError | None = None
        for archiver, before in due:
            try:
                await archiver.sweep_deeply(published, before)
            except FlatfileError as error:
                failed = error
        log.info(
            "shard.deep_swept",
            shard=self._shard,
            environments=len(due),
            known=len(published),
            since=published.knows_from.isoformat(),
            duration_s=round(time.monotonic() - began, 3),
        )
        if failed is not None:
            raise failed

    async def _read_back(self, since: datetime, now: datetime) -> Published:
        """Read what was published of what was created since a moment, or later if that is too much.

        A record is appended after its event was created, by the same clock: so nothing that was
        created since, and published, stands before the first record that was appended since.

        Args:
            since: By Flatfile's clock.
            now: By the same.
        """
        topic, capture = self._around.topics.audit.name, self._around.settings.capture
        published = Published(acknowledged=capture.revisions == "acknowledged")
        ahead = CLOCKS_DIFFER
        appended_from = since - CLOCKS_DIFFER
        async with LogReader(self._around.connection) as reader:
            appended_ms = int(appended_from.timestamp() * 1000)
            wanted = (await reader.at_time(topic, [self._shard], appended_ms))[self._shard]
            start, end = await reader.bounds(topic, self._shard)
            begin = max(wanted, end - MOST_RECORDS)
            is_cut = begin > wanted or begin == start
            async for chunk in reader.read(topic, self._shard, begin, end):
                if is_cut:
                    is_cut = False
                    appended_from = _appended_at(chunk[0])
                for message in chunk:
                    created_at = _take_in(published, message)
                    if created_at is not None and created_at <= now:
                        ahead = max(ahead, created_at - _appended_at(message))
                await asyncio.sleep(PAUSE_S)
        published.freeze()
        published.knows_from = since if begin == 0 else max(since, appended_from + ahead)
        if published.knows_from > since:
            log.warning(
                "shard.deep_sweep_narrowed",
                shard=self._shard,
                since=published.knows_from.isoformat(),
            )
        return published


def _is_due(archiver: Archiver, after: timedelta) -> bool:
    if not archiver.is_polled or archiver.remembers_from is None:
        return False
    now, swept = archiver.server_at, archiver.deep_swept
    return now is not None and swept is not None and now - swept >= after


def _take_in(published: Published, message: Message) -> datetime | None:
    """Take in a record, and return when its event was created."""
    if message.value is None:
        return None
    try:
        record = read_record(message.value)
    except NoRecordError:
        return None  # A restore refuses the shard for it.
    memory = remembered(record)
    published.add(record.environment.id, memory)
    return memory.created_at


def _appended_at(message: Message) -> datetime:
    return datetime.fromtimestamp(message.timestamp / 1000, UTC)
