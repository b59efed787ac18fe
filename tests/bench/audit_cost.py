"""What an event costs from its typed view to its sealed record, with names already known.

On the sandbox's events, which have 1.1 KB on average, all topics and live credentials in some.
Each step is run over and over for a fraction of a millisecond, and the best run counts: that is
what it costs on a machine that does nothing else. Beside it stands what cannot be saved: the hash.

Run: `.venv/bin/python -m tests.bench.audit_cost` from the repository root.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from streamer.audit import credentials
from streamer.audit.actors import NAMED_TYPES, actor_type
from streamer.audit.chain import SEAL_BYTES, genesis
from streamer.audit.encoder import Encoder
from streamer.audit.names import Named
from streamer.audit.normalize import read
from streamer.audit.record import restore
from streamer.flatfile.models import Environment
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.views import EventQuery
from streamer.sandbox.world import World
from tests.support.pages import parse_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamer.flatfile.models import Row

EVENTS: Final = 200
ROUNDS: Final = 400
UNTIL: Final = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
OBSERVED: Final = "2026-01-05T09:30:01.012Z"


def sandbox_rows() -> list[Row]:
    """Return the events of a sandbox, as a page of them is read."""
    world = World(SandboxOptions(until=UNTIL, events=EVENTS, environments=1), UNTIL.timestamp)
    environment_id = next(iter(world.account.environments))
    query = EventQuery(1, 1, environment_id=environment_id, include_acknowledged=True)
    view = world.view(query)
    events = [
        timeline.event(index)
        for timeline, runs in view.rows(0, len(view))
        for run in runs
        for index in run
    ]
    return parse_page(b'{"data":[%b]}' % b",".join(events), None).rows


def cost_us(run: Callable[[], object], count: int) -> float:
    """Return what the best of many runs took, in microseconds for each of `count` things."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best / count * 1e6


def main() -> None:
    """Print the cost of each step."""
    rows = sandbox_rows()
    drafts = [read(row) for row in rows]
    names = {
        one: Named(one, "Ada Park", "ada@example.com", "resolved", OBSERVED)
        for draft in drafts
        for one in draft.lookups
        if actor_type(one) in NAMED_TYPES or "_sp_" in one
    }
    environment = Environment(id="us_env_1", name="production", is_prod=True)
    encoder = Encoder(environment, "us_acc_1", max_record_bytes=1_000_000)
    link = genesis(environment.id)
    values = [one.value for one in encoder.encode(drafts, names, OBSERVED, link)[0]]
    bodies = [value[:-SEAL_BYTES] for value in values]
    copied = [draft.copied for draft in drafts]
    suspect = sum(map(credentials.suspect, copied)) / len(rows)
    record_bytes = sum(map(len, values)) // len(rows)
    copied_kb = sum(map(len, copied)) / len(rows) / 1024
    out = sys.stdout.write
    out(f"{len(rows)} events, records of {record_bytes} bytes, {suspect:.1%} suspect\n")

    def report(what: str, run: Callable[[], object], per: float = 1.0) -> None:
        out(f"{what:44} {cost_us(run, len(rows)) / per:6.2f} µs\n")

    innocent = [one for one in copied if not credentials.suspect(one)]
    report("hash alone", lambda: [sha256(body).digest() for body in bodies])
    report("look for credentials, per KB", lambda: [*map(credentials.suspect, innocent)], copied_kb)
    report("read: catalog, target, redaction", lambda: [read(row) for row in rows])
    report(
        "encode: names, headers, hash, seal",
        lambda: encoder.encode(drafts, names, OBSERVED, link),
    )
    report(
        "both",
        lambda: encoder.encode([read(row) for row in rows], names, OBSERVED, link),
    )
    report("restore", lambda: [restore(value) for value in values])


if __name__ == "__main__":
    main()
