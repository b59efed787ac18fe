"""How large a record the topics take: asked at the start, now and then, and after a refusal.

Whoever runs the brokers may change `max.message.bytes` while workers run. A limit that was lowered
shows as a refusal; one that was raised shows nowhere, so that it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from streamer.errors import KafkaNotReadyError
from streamer.kafka import topics

if TYPE_CHECKING:
    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection
    from streamer.kafka.topics import Topics

log = structlog.get_logger()

ASKED_EVERY_S: Final = 300.0
"""Seconds between two looks, as long as nothing is refused."""

FRESH_S: Final = 1.0
"""All shards of a worker may be refused at once; an answer this young serves them all."""


class Limits:
    """What the topics take, the same for all shards of a worker.

    Attributes:
        max_record_bytes: In one batch, with whatever is around a record.
    """

    def __init__(self, connection: Connection, settings: KafkaSettings, checked: Topics) -> None:
        self.max_record_bytes = checked.max_record_bytes
        self._connection = connection
        self._settings = settings
        self._asked_at = time.monotonic()
        self._asking = asyncio.Lock()

    async def run(self) -> None:
        """Ask now and then, for ever."""
        while True:
            await asyncio.sleep(ASKED_EVERY_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Ask now. If that is not possible everything stays as it is."""
        async with self._asking:
            if time.monotonic() - self._asked_at < FRESH_S:
                return
            try:
                found = await topics.describe(self._connection, self._settings)
                now = topics.checked(found, self._settings).max_record_bytes
            except KafkaNotReadyError as error:
                log.warning("shard.limits_unknown", reason=str(error))
                return
            finally:
                self._asked_at = time.monotonic()
            if now != self.max_record_bytes:
                log.info("shard.limits_changed", max_record_bytes=now, before=self.max_record_bytes)
                self.max_record_bytes = now
