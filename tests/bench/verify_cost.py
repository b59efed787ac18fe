"""What it costs to verify a record, part by part, and how many records a second that makes.

On the sandbox's events, which have 1.1 KB on average, with the fourteen headers of real records.
Each part is run over and over and the best run counts: what it costs on a machine that does nothing
else. With the address of a broker and a topic's prefix it also reads that deployment's topics:
what Kafka's client costs comes on top.

Run: `.venv/bin/python -m tests.bench.verify_cost [BOOTSTRAP_SERVERS PREFIX]`
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Final

from aiokafka.structs import ConsumerRecord

from streamer.audit.chain import genesis, unseal
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read as read_event
from streamer.config import KafkaSettings
from streamer.flatfile.models import Environment
from streamer.kafka.client import Connection
from streamer.proof.headers import contradictions
from streamer.proof.reading import verified
from streamer.proof.record import read
from streamer.proof.verify import Verifier
from tests.bench.audit_cost import OBSERVED, cost_us, sandbox_rows

if TYPE_CHECKING:
    from streamer.kafka.reader import Message

ENVIRONMENT: Final = Environment(id="us_env_1", name="production", is_prod=True)


def messages() -> list[Message]:
    """Return records as a consumer hands them over."""
    encoder = Encoder(ENVIRONMENT, "us_acc_1", max_record_bytes=1_000_000)
    drafts = [read_event(row) for row in sandbox_rows()]
    sealed, _ = encoder.encode(drafts, {}, OBSERVED, genesis(ENVIRONMENT.id))
    key = ENVIRONMENT.id.encode()
    return [
        ConsumerRecord(
            *("t", 0, offset, 0, 1, key, one.value, None, len(key), len(one.value)),
            tuple(one.headers),
        )
        for offset, one in enumerate(sealed)
    ]


def whole(taken: list[Message]) -> Verifier:
    """Verify them from the first to the last."""
    verifier = Verifier("t", 1, whole=(0,), whole_letters=(0,))
    for message in taken:
        verifier.take(message)
    return verifier


def report(what: str, cost: float) -> None:
    """Print one line."""
    sys.stdout.write(f"{what:44} {cost:6.2f} µs  {1e6 / cost:9,.0f} a second\n")


async def read_back(servers: str, prefix: str) -> None:
    """Verify a deployment's topics, reading included."""
    settings = KafkaSettings(bootstrap_servers=(servers,), topic_prefix=prefix)
    began, used = time.perf_counter(), time.process_time()
    verifier = await verified(Connection(settings), settings)
    took, cpu = time.perf_counter() - began, time.process_time() - used
    each_us = 1e6 / max(1, verifier.records)
    report(f"read and verified, {verifier.records:,} records", took * each_us)
    report("  of that CPU", cpu * each_us)


def main() -> None:
    """Print the cost of each part, and of all."""
    taken = messages()
    values = [message.value or b"" for message in taken]
    records = [(read(message.value or b""), message.headers) for message in taken]
    count = len(taken)
    report("seal and hash", cost_us(lambda: [unseal(one).holds() for one in values], count))
    report("read the members", cost_us(lambda: [*map(read, values)], count))
    report("headers", cost_us(lambda: [contradictions(*one) for one in records], count))
    report("all of it", cost_us(lambda: whole(taken), count))
    if len(sys.argv) > 1:
        asyncio.run(read_back(*sys.argv[1:]))


if __name__ == "__main__":
    main()
