"""`streamer status`: where each environment stands, from the topics alone."""

from __future__ import annotations

import json as json_text
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter, validators

from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.standings import Standing, standings
from streamer.commands.status_table import age, draw
from streamer.commands.terminal import clipped
from streamer.config import load_settings
from streamer.errors import CheckFailedError
from streamer.kafka.client import Connection
from streamer.kafka.reader import LogReader


async def status(
    *,
    config: ConfigFile = None,
    json: bool = False,
    max_lag: Annotated[float | None, Parameter(validator=validators.Number(gte=0))] = None,
) -> int:
    """Show where each environment stands, also when no worker lives: only Kafka is asked.

    The last poll is when the last complete look at the environment began, as its newest checkpoint
    says. A checkpoint is written with every capture and every completed sweep, and of a quiet
    environment every 15 minutes at the latest: so a healthy one can show up to 15 minutes. The
    worker's /readyz and /metrics tell how it is at this moment.

    Args:
        config: TOML file with settings.
        json: Print one JSON object.
        max_lag: Exit code 5 if the last poll of an environment in state `polled` is longer ago than
            so many seconds, or if there is no environment; choose more than 900.
    """
    silence_logs()
    settings = load_settings(config).kafka
    async with LogReader(Connection(settings)) as reader:
        found = await standings(reader, settings.checkpoint_topic)
    now = datetime.now(UTC)
    late = [] if max_lag is None else [one for one in found if one.lags(now, max_lag)]
    if json:
        members = [_members(one, now, is_late=one in late) for one in found]
        document = {"at": _instant(now), "max_lag_s": max_lag, "environments": members}
        sys.stdout.write(f"{json_text.dumps(document)}\n")
    elif found:
        draw(found, late, now)
    else:
        sys.stderr.write("streamer: no environment has a checkpoint yet.\n")
    if max_lag is not None and (late or not found):
        for one in late:
            name = clipped(one.checkpoint.environment.id, 100)
            last = one.polled_s(now)
            ago = age(last) if last is None else f"{age(last)} ago"
            sys.stderr.write(f"streamer: {name}: last poll {ago}; --max-lag is {max_lag:g} s.\n")
        return CheckFailedError.exit_code
    return 0


def _members(one: Standing, now: datetime, *, is_late: bool) -> dict[str, Any]:
    checkpoint = one.checkpoint
    return {
        "environment": checkpoint.environment.id,
        "name": checkpoint.environment.name,
        "account": checkpoint.account,
        "shard": one.shard,
        "state": checkpoint.state,
        "sequence": checkpoint.sequence,
        "head": checkpoint.head,
        "polled": _instant(checkpoint.polled),
        "polled_s": one.polled_s(now),
        "watermark": _instant(checkpoint.watermark),
        "watermark_s": one.watermark_s(now),
        "checkpoint_written": _instant(one.written),
        "writer": checkpoint.writer,
        "late": is_late,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
