"""A consumer of an audit topic that reads along, as any consumer would, and judges what it reads.

librdkafka, `read_committed`, every partition from its beginning, in a thread of its own. It is not
told when a worker dies or a broker restarts: what it has read by the end is the verdict.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, cast

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from tests.support.judge import Judge, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.support.daemon_process import DaemonProcess
    from tests.support.judge import Findings

POLL_S: Final = 0.02
"""Between two looks at a condition."""


class Ends(NamedTuple):
    """How far a topic goes, over all its partitions.

    Attributes:
        committed: Sum of the last stable offsets: behind them transactions are open.
        written: Sum of the high watermarks.
    """

    committed: int
    written: int


class AuditFollower:
    """`async with AuditFollower(servers, topic) as follower:`.

    Attributes:
        judge: What has been read so far.
        worker: Who writes. Waiting for records fails at once when it has ended by itself.
    """

    def __init__(
        self, servers: str, topic: str, *, on_record: Callable[[Message], None] | None = None
    ) -> None:
        """Read nothing yet.

        Args:
            servers: The brokers.
            topic: May not exist yet.
            on_record: Shown each message, in the thread that reads.
        """
        self.judge = Judge()
        self.worker: DaemonProcess | None = None
        self._servers = servers
        self._topic = topic
        self._on_record = on_record
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"follower of {topic}")
        self._failed: Exception | None = None
        self._positions: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    async def until(self, reached: Callable[[], bool], *, within_s: float, what: str = "") -> None:
        """Wait for a condition; fail with what has been read by then."""
        deadline = time.monotonic() + within_s
        while not reached():
            if self._failed is not None:
                raise self._failed
            self._fail_if(self.worker is not None and not self.worker.is_running, "it ended", what)
            self._fail_if(time.monotonic() > deadline, f"not within {within_s} s", what)
            await asyncio.sleep(POLL_S)

    def _fail_if(self, failed: bool, why: str, what: str) -> None:  # noqa: FBT001 - a condition
        if failed:
            log = "" if self.worker is None else self.worker.text[-3000:]
            pytest.fail(f"{why}: {what}; {self.judge.records} records read. {log}", pytrace=False)

    async def until_records(self, count: int, *, within_s: float) -> None:
        """Wait until that many records have been read."""
        await self.until(
            lambda: self.judge.records >= count, within_s=within_s, what=f"{count} records"
        )

    async def until_published(self, ids: Iterable[tuple[str, str]], *, within_s: float) -> None:
        """Wait until these events (environment, id) have been read."""
        wanted = list(ids)
        await self.until(
            lambda: all(self.judge.has(*one) for one in wanted),
            within_s=within_s,
            what=f"events {wanted[:3]}…",
        )

    async def findings(self, ledger: Iterable[Mapping[str, Any]]) -> Findings:
        """Read to the end of the topic, and judge.

        Whoever writes must have been stopped: with a transaction open the end is not reached.
        """
        ends = await asyncio.to_thread(ends_of, self._servers, self._topic)
        assert ends.committed == ends.written, "a transaction is still open"
        await self.until(
            lambda: sum(self._positions.values()) >= ends.written,
            within_s=30,
            what=f"end of the topic {ends}, at {self._positions}",
        )
        return self.judge.findings(ledger)

    def _read(self) -> None:
        try:
            consumer = confluent_kafka.Consumer(
                {
                    "bootstrap.servers": self._servers,
                    "group.id": "judge",
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "enable.partition.eof": True,
                    "reconnect.backoff.max.ms": 500,
                    "fetch.wait.max.ms": 100,
                    "topic.metadata.refresh.interval.ms": 1000,
                    "log_level": 0,
                }
            )
            try:
                self._read_with(consumer)
            finally:
                consumer.close()
        except Exception as error:  # noqa: BLE001 - handed over to the loop
            self._failed = error

    def _read_with(self, consumer: confluent_kafka.Consumer) -> None:
        numbers = self._partitions(consumer)
        consumer.assign(
            [
                confluent_kafka.TopicPartition(
                    self._topic, number, confluent_kafka.OFFSET_BEGINNING
                )
                for number in numbers
            ]
        )
        parts = [confluent_kafka.TopicPartition(self._topic, number) for number in numbers]
        while not self._stopping.is_set():
            for message in consumer.consume(2000, 0.05):
                if message.error() is None:
                    self._take(message)
            # The position, not the last record's offset: it passes the markers of transactions.
            self._positions = {
                part.partition: max(0, part.offset) for part in consumer.position(parts)
            }

    def _partitions(self, consumer: confluent_kafka.Consumer) -> list[int]:
        while not self._stopping.is_set():
            try:
                found = consumer.list_topics(self._topic, timeout=5).topics[self._topic]
            except confluent_kafka.KafkaException:
                continue
            if found.error is None and found.partitions:
                return sorted(found.partitions)
            self._stopping.wait(0.1)
        return []

    def _take(self, raw: confluent_kafka.Message) -> None:
        message = Message(
            partition=raw.partition() or 0,
            offset=raw.offset() or 0,
            key=raw.key(),
            value=raw.value(),
            headers=cast("list[tuple[str, bytes]]", raw.headers() or []),
        )
        if self._on_record is not None:
            self._on_record(message)
        self.judge.take(message)


def ends_of(servers: str, topic: str) -> Ends:
    """How far the topic goes, committed and written, asked at once for all partitions."""
    return ends_with(AdminClient({"bootstrap.servers": servers, "log_level": 0}), topic)


def ends_with(admin: AdminClient, topic: str) -> Ends:
    """The same, with a client that is connected already."""
    numbers = admin.list_topics(topic, timeout=10).topics[topic].partitions
    if not numbers:
        return Ends(0, 0)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    wanted = {confluent_kafka.TopicPartition(topic, number): latest for number in numbers}
    # Written first: what is committed in between can only make an open transaction look closed.
    written = _sum(admin, wanted, confluent_kafka.IsolationLevel.READ_UNCOMMITTED)
    return Ends(_sum(admin, wanted, confluent_kafka.IsolationLevel.READ_COMMITTED), written)


def _sum(admin: AdminClient, wanted: Any, level: Any) -> int:  # noqa: ANN401 - untyped there
    asked = admin.list_offsets(wanted, isolation_level=level, request_timeout=10)
    return sum(future.result().offset for future in asked.values())
