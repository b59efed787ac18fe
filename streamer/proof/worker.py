"""A process that verifies a part: handed one on standard input, it answers on standard output.

A message is pickled, behind its length. What is sent: how many offsets were passed, now and then,
and in the end the outcome, or the error that kept it from one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import sys
from typing import TYPE_CHECKING, Final

from streamer.errors import StreamerError
from streamer.kafka.client import Connection
from streamer.proof.part import verify_part

if TYPE_CHECKING:
    from streamer.proof.part import Part

LENGTH_BYTES: Final = 8
"""Of the length before each message."""


def framed(message: object) -> bytes:
    """Return a message as it is sent."""
    pickled = pickle.dumps(message)
    return len(pickled).to_bytes(LENGTH_BYTES, "big") + pickled


def main() -> None:
    """Verify what standard input says; end early where nobody waits for the answer any more."""
    length = int.from_bytes(sys.stdin.buffer.read(LENGTH_BYTES), "big")
    pickled = sys.stdin.buffer.read(length)
    if len(pickled) < max(length, 1):
        return  # Whoever started us has ended meanwhile.
    part: Part = pickle.loads(pickled)  # noqa: S301 - of our own process
    # What aiokafka has to say reaches those who listen to it; nobody reads its log.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        asyncio.run(_verify(part))
    except BrokenPipeError:
        _end()


async def _verify(part: Part) -> None:
    # Nothing more is sent: it becomes readable once the other end is gone.
    asyncio.get_running_loop().add_reader(sys.stdin, _end)
    try:
        _send(await verify_part(Connection(part.settings), part, _send))
    except StreamerError as error:
        _send(error)


def _send(message: object) -> None:
    sys.stdout.buffer.write(framed(message))
    sys.stdout.buffer.flush()


def _end() -> None:
    # At once: neither brokers nor standard output are to be waited for.
    os._exit(1)


if __name__ == "__main__":
    main()
