"""What an event costs from its typed view to its sealed record, with names already known.

Run: `.venv/bin/python -m tests.bench.audit_cost` from the repository root.
"""

from __future__ import annotations

import random
import string
import sys
import time
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import orjson

from streamer.audit import credentials
from streamer.audit.chain import genesis
from streamer.audit.encoder import Encoder
from streamer.audit.names import Named
from streamer.audit.normalize import read
from streamer.audit.record import restore
from streamer.flatfile.models import Environment, Event

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = 2000
ROUNDS = 7
_CHANCE = random.Random(7)  # noqa: S311  (repeatable, not secret)
_LETTERS = string.ascii_letters + string.digits


def _id(kind: str) -> str:
    return f"us_{kind}_" + "".join(_CHANCE.choices(_LETTERS, k=16))


def _event(actors: list[str], spaces: list[str]) -> dict[str, object]:
    topic = _CHANCE.choice(("records:updated",) * 6 + ("workbook:updated", "job:updated") * 2)
    changes = [
        {
            "recordId": _id("rc"),
            "fieldKey": "first_name",
            "previousValue": "Ada",
            "newValue": "Grace",
        }
        for _ in range(5)
    ]
    return {
        "id": _id("evt"),
        "topic": topic,
        "domain": topic.partition(":")[0],
        "createdAt": "2026-11-23T20:46:04.300Z",
        "deletedAt": None,
        "acknowledgedAt": None,
        "acknowledgedBy": None,
        "context": {
            "accountId": "us_acc_1",
            "environmentId": "us_env_1",
            "spaceId": _CHANCE.choice(spaces),
            "workbookId": _id("wb"),
            "sheetId": _id("sh"),
            "jobId": _id("jb"),
            "slugs": {"space": "payroll", "workbook": "people", "sheet": "staff"},
            "actorId": _CHANCE.choice(actors),
        },
        "payload": {"sheetId": _id("sh"), "recordIds": [_id("rc")], "changes": changes},
        "attributes": {"progress": {"current": 1, "total": 3, "percent": 33}},
        "callbackUrl": "",
        "dataUrl": "",
        "target": None,
        "namespaces": ["workbook"],
        "origin": {"id": _id("wb"), "slug": "people"},
    }


def _best(what: str, run: Callable[[], object], count: int = EVENTS) -> None:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    sys.stdout.write(f"{what:34} {best / count * 1e6:7.2f} µs\n")


def main() -> None:
    """Print the cost of each step."""
    actors = [_id("usr") for _ in range(400)]
    spaces = [_id("sp") for _ in range(10)]
    page = orjson.dumps([_event(actors, spaces) for _ in range(EVENTS)])
    events = msgspec.json.decode(page, type=list[Event])
    names = {
        one: Named(one, "Ada Park", "ada@example.com", "resolved", "2026-11-23T20:41:00Z")
        for one in actors + spaces
    }
    environment = Environment(id="us_env_1", name="production", is_prod=True)
    encoder = Encoder(environment, "us_acc_1", max_record_bytes=1_000_000)
    link = genesis("us_env_1")
    observed = "2026-11-23T20:46:05.012Z"
    drafts = [read(event) for event in events]
    records, _ = encoder.encode(drafts, names, observed, link)
    size = len(page) / EVENTS
    sys.stdout.write(f"events of {size:.0f} bytes, records of {len(records[0].value)}\n")
    _best("decode the page", lambda: msgspec.json.decode(page, type=list[Event]))
    bodies = [one.value[:-172] for one in records]
    _best("hash alone", lambda: [sha256(body).digest() for body in bodies])
    copied = [draft.copied for draft in drafts]
    _best("suspicion", lambda: [credentials.suspect(one) for one in copied])
    _best("read", lambda: [read(event) for event in events])
    _best("encode", lambda: encoder.encode(drafts, names, observed, link))
    _best(
        "read and encode",
        lambda: encoder.encode([read(event) for event in events], names, observed, link),
    )
    _best("restore", lambda: [restore(one.value) for one in records])


if __name__ == "__main__":
    main()
