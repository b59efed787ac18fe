"""Somebody else who writes to our topics."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

_CHECKSUM = slice(17, 21)
"""Of a batch; it is of all that follows. Source: Apache Kafka, message format, "Record Batch"."""


async def write_undecodable(servers: str, topic: str, *, partition: int = 0) -> None:
    """Write a record with a header whose name is not UTF-8, behind which nothing can be read."""
    async with AIOKafkaProducer(bootstrap_servers=servers) as stranger:
        batch: Any = stranger.create_batch()
        batch.append(key=b"k", value=b"v", timestamp=None, headers=[("NAME", b"x")])
        batch.close()
        written = bytearray(batch._build()).replace(b"NAME", b"\xff\xfe\xff\xfe")
        written[_CHECKSUM] = calc_crc32c(bytes(written[_CHECKSUM.stop :])).to_bytes(4, "big")
        batch._build = lambda: written
        await (await stranger.send_batch(batch, topic, partition=partition))
