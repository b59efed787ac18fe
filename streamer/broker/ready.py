"""Asks a broker whether it serves, in the smallest request of Kafka's protocol that tells.

A port that accepts is not enough: it does so a second before the broker knows its own cluster.
Source: the Kafka protocol guide, Metadata (key 3), version 1.
"""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import Final

_CORRELATION: Final = 1
_REQUEST: Final = struct.pack(">ihhihi", 14, 3, 1, _CORRELATION, -1, 0)
"""Size, key, version, correlation, no client id, an empty list of topics."""

_ANSWER: Final = struct.Struct(">iii")
"""Size, correlation, number of brokers: how every answer begins."""


async def names_a_broker(port: int, *, timeout_s: float = 1.0) -> bool:
    """Whether what listens on this port of 127.0.0.1 is a Kafka whose cluster has a broker."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_REQUEST)
                answer = await reader.readexactly(_ANSWER.size)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    _, correlation, brokers = _ANSWER.unpack(answer)
    return bool(correlation == _CORRELATION and brokers >= 1)
