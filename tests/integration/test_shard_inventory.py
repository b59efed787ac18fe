"""The inventory of a shard while Kafka does not answer: tried again, and nobody else notices."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from structlog.testing import capture_logs

from streamer.audit.privacy import CLEAR
from streamer.flatfile.lists import Lists
from streamer.inventory.keeper import Keeper, Parts
from streamer.inventory.told import Told
from streamer.shard import inventory
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from tests.support.kafka_parts import connection_to

if TYPE_CHECKING:
    import pytest

    from streamer.flatfile.client import FlatfileClient
    from streamer.offer import Committer


async def test_a_topic_that_does_not_answer_is_read_again_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error would end the shard, and with it the reading of events."""
    monkeypatch.setattr(inventory, "RETRY_AFTER_S", 0.01)
    parts = Parts(
        lists=Lists(cast("FlatfileClient", None)),
        told=Told(asyncio.get_running_loop().time),
        incidents=Incidents(Metrics(Board())),
        privacy=CLEAR,
        account_id="us_acc_1",
        interval_s=1.0,
    )
    keeping = asyncio.ensure_future(
        inventory.keep(
            Keeper(parts, owns=lambda _: True, has_account=True),
            connection_to("127.0.0.1:1", startup_timeout=1),
            "nowhere",
            0,
            cast("Committer", None),
            is_new=True,
        )
    )
    with capture_logs() as lines:
        while len(lines) < 2 and not keeping.done():  # noqa: ASYNC110 - log lines
            await asyncio.sleep(0.01)
    assert not keeping.done()
    assert {line["event"] for line in lines} == {"shard.inventory_not_read"}
    keeping.cancel()
