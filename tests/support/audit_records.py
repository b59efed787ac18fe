"""Builds events, as the API's bytes are read, and seals them: for tests of the audit layer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from streamer.audit.chain import Link, genesis
from streamer.audit.checkpoint import Checkpoint, EnvironmentName, Policy, ShardRecord
from streamer.audit.encoder import Encoder, Sealed
from streamer.audit.names import Named
from streamer.audit.normalize import read
from streamer.audit.privacy import CLEAR, Privacy
from streamer.flatfile.models import Environment, Event, Row
from streamer.flatfile.rows import read_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENVIRONMENT: Final = Environment(id="us_env_Prod0001", name="production", is_prod=True)
OBSERVED: Final = "2026-11-23T20:46:05.012Z"
CREATED_AT: Final = "2026-11-23T20:46:04.300Z"
ADA: Final = Named(
    "us_usr_Ada00001", "Ada Park", "ada@example.com", "resolved", "2026-11-23T20:41:00Z"
)

AT: Final = datetime(2026, 11, 23, 20, 46, 4, 300_000, tzinfo=UTC)
CHECKPOINT: Final = Checkpoint(
    account="us_acc_1",
    environment=EnvironmentName("us_env_1", "production"),
    state="polled",
    sequence=48213,
    head="ab" * 32,
    watermark=AT,
    polled=AT,
    swept=AT,
    seen_from=AT,
    tail=17,
    policy=Policy(("cron:*",), "pseudonymize"),
    writer="host-1",
)
SHARD: Final = ShardRecord(account="us_acc_1", partitions=12, audit_topic_id="x-y", start=AT)


def element(topic: str = "workbook:updated", **members: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an element of `GET /events` as a dictionary; `None` leaves a member out."""
    usual = {
        "id": "us_evt_00000001",
        "topic": topic,
        "domain": topic.partition(":")[0],
        "createdAt": CREATED_AT,
        "context": {"actorId": ADA.id, "spaceId": "us_sp_Space001", "workbookId": "us_wb_Book0001"},
        "payload": {},
    }
    return {name: value for name, value in {**usual, **members}.items() if value is not None}


def row(topic: str = "workbook:updated", **members: Any) -> Row:  # noqa: ANN401
    """Return what the page reader makes of such an element."""
    return read_row(json.dumps(element(topic, **members)).encode())


def event(topic: str = "workbook:updated", **members: Any) -> Event:  # noqa: ANN401
    """Return such an element that has a typed view."""
    found = row(topic, **members)
    assert isinstance(found, Event)
    return found


def encoder(max_record_bytes: int = 1_000_000, privacy: Privacy = CLEAR) -> Encoder:
    """Return an encoder of the environment."""
    return Encoder(
        ENVIRONMENT, "us_acc_Account1", max_record_bytes=max_record_bytes, privacy=privacy
    )


def sealed(
    *rows: Row,
    revision: int = 1,
    names: Mapping[str, Named] | None = None,
    link: Link | None = None,
    max_record_bytes: int = 1_000_000,
    privacy: Privacy = CLEAR,
    refused: Iterable[str] = (),
) -> list[Sealed]:
    """Return the rows' records; Ada's name is known."""
    known = {ADA.id: ADA} if names is None else names
    records, _ = encoder(max_record_bytes, privacy).encode(
        [read(one, revision) for one in rows],
        known,
        OBSERVED,
        link or genesis(ENVIRONMENT.id),
        refused=tuple(refused),
    )
    return records


def record(one: Row, **how: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return one row's record, parsed as leniently as JSON allows."""
    parsed: dict[str, Any] = json.loads(sealed(one, **how)[0].value)
    return parsed
