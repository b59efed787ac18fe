"""Objects of an account for tests of the inventory, and what lies in its topic."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import confluent_kafka

from streamer.audit.privacy import CLEAR
from streamer.flatfile.objects import Element
from streamer.inventory.things import read_thing

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.audit.privacy import Privacy
    from streamer.flatfile.objects import Kind
    from streamer.inventory.things import Thing
    from tests.support.daemon_process import DaemonProcess

UNTIL: Final = datetime(2026, 11, 23, 20, 46, tzinfo=UTC)
"""When the accounts are built."""


def thing(
    kind: Kind,
    body: dict[str, Any],
    privacy: Privacy = CLEAR,
    *,
    environment_id: str | None = None,
) -> Thing:
    """What the inventory says of an object that the API shows like this."""
    raw = json.dumps(body, ensure_ascii=False).encode()
    element = Element(body["id"], raw)
    found = read_thing(kind, element, privacy, environment_id=environment_id)
    assert found is not None
    return found


async def list_requests(daemon: DaemonProcess) -> dict[str, int]:
    """How many requests there were for each list."""
    _, page = await daemon.get("/metrics")
    pattern = r'^streamer_flatfile_requests_total\{operation="list_(\w+)",outcome="ok"\} ([0-9.]+)$'
    return {kind: int(float(n)) for kind, n in re.findall(pattern, page, re.MULTILINE)}


def held_by(account: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an account holds, by key, but for guests who can reach no space."""
    held = {f"user/{user['id']}": user for user in account["users"]}
    for place in account["environments"]:
        held[f"environment/{place['id']}"] = place
        for kind in ("agent", "guest", "space"):
            held |= {f"{kind}/{one['id']}": one for one in place[f"{kind}s"]}
    return held


class Published(NamedTuple):
    """A committed message of the topic."""

    partition: int
    key: str
    value: dict[str, Any] | None


class InventoryFollower:
    """Reads everything that is committed to an inventory topic, as it comes.

    Attributes:
        messages: In the order of each partition.
    """

    def __init__(self, servers: str, topic: str) -> None:
        self.messages: list[Published] = []
        self._held: dict[tuple[int, str], dict[str, Any]] = {}
        self._topic = topic
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"follower of {topic}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._consumer.close)

    @property
    def latest(self) -> dict[str, dict[str, Any]]:
        """What is there, by key."""
        return {key: value for (_, key), value in self._held.items()}

    @property
    def counts(self) -> Counter[str]:
        """How many of each kind are there."""
        return Counter(key.partition("/")[0] for key in self.latest)

    @property
    def repeated(self) -> list[str]:
        """Keys that were published twice in a row without a change in between."""
        before: dict[tuple[int, str], str | None] = {}
        found = []
        for partition, key, value in self.messages:
            fingerprint = None if value is None else str(value["fingerprint"])
            if before.get((partition, key), "nothing yet") == fingerprint:
                found.append(key)
            before[partition, key] = fingerprint
        return found

    async def until(self, holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Read on until something holds."""
        await asyncio.to_thread(self._until, holds, within_s)

    def _until(self, holds: Callable[[], bool], within_s: float) -> None:
        if not self._consumer.assignment():
            metadata = self._consumer.list_topics(self._topic, timeout=10).topics[self._topic]
            self._consumer.assign(
                [
                    confluent_kafka.TopicPartition(self._topic, number, 0)
                    for number in metadata.partitions
                ]
            )
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, (self.counts, self.messages[-3:])
            for message in self._consumer.consume(1000, 0.1):
                self._take(message)

    def _take(self, message: confluent_kafka.Message) -> None:
        assert message.error() is None, message.error()
        key, value, partition = message.key(), message.value(), message.partition()
        assert isinstance(key, bytes)
        assert partition is not None
        said = json.loads(value) if isinstance(value, bytes) else None
        self.messages.append(Published(partition, key.decode(), said))
        if said is None:
            self._held.pop((partition, key.decode()), None)
        else:
            self._held[partition, key.decode()] = said
