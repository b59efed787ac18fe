"""A broker that its clients reach through a proxy only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streamer.broker.local import LocalBroker
from tests.support.fault_run import Route, port_past_the_proxy
from tests.support.kafka_proxy import KafkaProxy, behind_proxy, listening_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUICK = {
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}


@pytest.fixture
async def route() -> AsyncIterator[Route]:
    """A broker of its own, behind a proxy of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="streamer-broker-") as folder,
        listening_socket() as listener,
    ):
        broker = LocalBroker(Path(folder), properties=QUICK | behind_proxy(listener))
        await broker.start()
        try:
            async with KafkaProxy(listener, broker.port) as proxy:
                yield Route(proxy, f"127.0.0.1:{port_past_the_proxy(broker.output_path)}")
        finally:
            broker.kill()
