"""`streamer topics`: make the topics, or judge those that are there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from cyclopts import App

from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.verdicts import Verdicts
from streamer.config import load_settings
from streamer.errors import KafkaNotReadyError
from streamer.kafka import topics
from streamer.kafka.client import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamer.config import KafkaSettings
    from streamer.kafka.topics import TopicState

app = App(
    "topics",
    help="The topics: make them, or judge those that are there.",
    group_parameters="Options",
)

_MS_A_DAY: Final = 86_400_000


@app.command
async def create(*, config: ConfigFile = None) -> int:
    """Create the topics that are missing. What exists is judged, and never changed.

    Args:
        config: TOML file with settings.
    """
    silence_logs()
    settings = load_settings(config).kafka
    connection = Connection(settings)
    before = await topics.describe(connection, settings)
    checked = await topics.ensure(connection, settings)
    width = max(len(name) for name in checked.names)
    for state in checked.all:
        verb = "exists " if state.name in before else "created"
        sys.stdout.write(f"{verb}  {state.name:<{width}}  {facts(state)}\n")
    return 0


@app.command
async def check(*, config: ConfigFile = None) -> int:
    """Judge the topics: a line for each, and exit code 4 if one is not as it must be.

    Args:
        config: TOML file with settings.
    """
    silence_logs()
    settings = load_settings(config).kafka
    found = await topics.describe(Connection(settings), settings)
    verdicts = Verdicts(*(spec.name for spec in topics.specs(settings)))
    judge(found, settings, verdicts)
    return KafkaNotReadyError.exit_code if verdicts.failures else 0


def judge(
    found: Mapping[str, TopicState],
    settings: KafkaSettings,
    verdicts: Verdicts,
    *,
    subject: str | None = None,
) -> None:
    """Write a line for each topic, and one for what they have in common if that is wrong.

    Args:
        found: The topics as they are.
        settings: What they must be.
        verdicts: Where the lines go.
        subject: What the lines are about; None: each about its topic.
    """
    problems = {error.where: error for error in topics.problems(found, settings)}
    for spec in topics.specs(settings):
        about = subject or spec.name
        name = f"{spec.name}: " if subject else ""
        problem = problems.pop(f"topic {spec.name}", None)
        if problem is not None:
            verdicts.failed(about, problem)
            continue
        state = found[spec.name]
        verdicts.ok(about, name + facts(state))
        if spec.policy == "delete" and state.retention_ms >= 0:
            verdicts.warn(about, name + _what_is_deleted(state))
    for problem in problems.values():
        verdicts.failed(subject or "topics", problem)


def facts(state: TopicState) -> str:
    """What a person wants to know of a topic that is right."""
    kept = {
        "compact": "the newest of each key is kept",
        "delete": "kept for ever" if state.retention_ms < 0 else f"kept for {_days(state)}",
    }[state.policy]
    largest = f"records up to {state.max_record_bytes / 1_000_000:.1f} MB"
    return f"{state.partitions} partitions, {kept}, {largest}"


def _what_is_deleted(state: TopicState) -> str:
    by_event_time = state.timestamp_type != "LogAppendTime"
    age = "dated more than" if by_event_time else "published more than"
    reason = " (by their own dates: message.timestamp.type is CreateTime)" if by_event_time else ""
    return (
        f"its retention.ms deletes what was {age} {_days(state)} ago{reason}; "
        "-1 keeps everything, and the proof that it is complete."
    )


def _days(state: TopicState) -> str:
    days = state.retention_ms / _MS_A_DAY
    return f"{days:g} {'day' if days == 1 else 'days'}" if days >= 1 else f"{days * 24:.1f} hours"
