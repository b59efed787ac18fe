"""What it costs to verify a record: part by part, and by the command, end to end.

The parts: on the sandbox's events, with the headers of real records. Each is run over and over and
the best run counts: what it costs on a machine that does nothing else.

The command: a worker publishes a backlog of events of 1.1 KB to a real broker, and the installed
`streamer verify` reads it back, start and end of the interpreter included, in one process and in
one for each core. The CPU of its processes and of the broker is the kernel's: from it follows how
fast it is on these cores if nobody else needs them.

Run it on a quiet machine, from the repository root:

    .venv/bin/python -m tests.bench.verify_cost --records 400000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiokafka.structs import ConsumerRecord

from streamer.audit.chain import genesis, next_digest, unseal
from streamer.audit.encoder import Encoder
from streamer.audit.normalize import read as read_event
from streamer.broker.local import LocalBroker
from streamer.flatfile.models import Environment
from streamer.proof.headers import contradictions
from streamer.proof.record import read
from streamer.proof.verify import Verifier
from tests.bench import speed
from tests.bench.audit_cost import OBSERVED, cost_us, sandbox_rows
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import finish, start

if TYPE_CHECKING:
    from streamer.kafka.reader import Message

PROMISED: Final = 60_000
"""Records a second."""

PREFIX: Final = "flatfile"
ENVIRONMENTS: Final = 24
WITHIN_S: Final = 300.0
ROUNDS: Final = 3

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


def parts() -> None:
    """Print the cost of each part of a check, and of all."""
    taken = messages()
    values = [message.value or b"" for message in taken]
    records = [(read(message.value or b""), message.headers) for message in taken]
    count = len(taken)
    links = [(value, unseal(value).previous) for value in values]
    report("seal, link and hash", cost_us(lambda: [next_digest(*one) for one in links], count))
    report("read the members", cost_us(lambda: [*map(read, values)], count))
    report("headers", cost_us(lambda: [contradictions(*one) for one in records], count))
    report("all of it", cost_us(lambda: whole(taken), count))


async def command(broker: LocalBroker, records: int, processes: int) -> float:
    """Verify everything, print what it took, and return how many records a second that is."""
    settings = {
        "STREAMER_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "STREAMER_KAFKA__TOPIC_PREFIX": PREFIX,
    }
    assert broker.pid is not None
    cores = os.cpu_count() or 1
    began, used, served = time.perf_counter(), _children_s(), speed._cpu_s(broker.pid)
    process = await start("verify", "--processes", str(processes), settings=settings)
    result = await finish(process, WITHIN_S)
    took, cpu = time.perf_counter() - began, _children_s() - used
    served = speed._cpu_s(broker.pid) - served
    assert f"holds: {records:,} records" in result.lines[-1], result.everything
    name = f"streamer verify --processes {processes}"
    report(name, took / records * 1e6)
    report("  CPU of its processes", cpu / records * 1e6)
    report("  CPU of the broker", served / records * 1e6)
    free = max(cpu / processes, (cpu + served) / cores)
    report("  therefore, with the cores for itself", free / records * 1e6)
    return records / took


def _children_s() -> float:
    """Seconds of CPU of all processes that have ended and were ours, or theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def end_to_end(records: int) -> None:
    """Publish, and verify with one process and with one a core."""
    options = {"events": records, "environments": ENVIRONMENTS, "event_bytes": speed.EVENT_BYTES}
    with tempfile.TemporaryDirectory() as folder:
        async with LocalBroker(Path(folder)) as broker:
            async with SandboxProcess(**options) as sandbox:
                await speed.streamer(sandbox, broker, PREFIX, records)
            cores = os.cpu_count() or 1
            best = 0.0
            for processes in (1, cores) * ROUNDS:
                best = max(best, await command(broker, records, processes))
            sys.stdout.write(
                f"{cores} cores: {best:,.0f} records a second at best, promised are {PROMISED:,}\n"
            )


def main() -> None:
    """Print what the parts cost, and the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=400_000, help="0: the parts only")
    records = parser.parse_args().records
    parts()
    if records:
        asyncio.run(end_to_end(records))


if __name__ == "__main__":
    main()
