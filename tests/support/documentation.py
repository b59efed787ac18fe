"""The tables of the README that are made from the code, and the command that writes them there.

    .venv/bin/python -m tests.support.documentation

A test compares; so a setting, metric, exit code or command cannot be added without the README.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from streamer import errors
from streamer.audit.catalog import TOPICS
from streamer.cli import COMMANDS
from streamer.commands.terminal import INTERRUPTED
from streamer.config import ENVIRONMENT_PREFIX, Settings
from streamer.proof.findings import MEANINGS
from streamer.telemetry.board import Board
from streamer.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

README: Final = Path(__file__).parents[2] / "README.md"

_EXIT_CODES: Final = {
    0: "done, or stopped in order",
    1: "anything else, also a stop that was not orderly",
    2: "usage, settings, a port or a data folder in use",
    3: "Flatfile refused the credentials at start",
    4: "Kafka not reached within the start-up time-out, or topics or permissions wrong",
    5: "the answer of `verify`, `check`, `status` or `demo` is no",
    INTERRUPTED: "Ctrl-C ended a command that was not yet done",
}


def tables() -> dict[str, str]:
    """Return each table by the name of its place in the README."""
    return {
        "commands": _table(
            ("command", "what it does"),
            ((f"`streamer {name}`", command.summary) for name, command in COMMANDS.items()),
        ),
        "settings": _table(("variable", "default", "meaning"), _settings()),
        "metrics": _table(("metric", "labels", "meaning"), _metrics()),
        "exit-codes": _table(("exit code", "meaning"), _exit_codes()),
        "findings": _table(
            ("finding", "what it is", "what to do"),
            ((f"`{kind}`", *meaning) for kind, meaning in MEANINGS.items()),
        ),
        "catalog": _table(
            (
                *("topic", "category", "operation", "outcome", "severity"),
                *("OCSF class / activity", "ECS category / type", "target"),
            ),
            _catalog(),
        ),
    }


def _settings() -> Iterator[tuple[str, ...]]:
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, inner in model.model_fields.items():
            variable = f"{ENVIRONMENT_PREFIX}{section}__{name}".upper()
            yield f"`{variable}`", _default(inner), inner.description or ""


def _default(field: FieldInfo) -> str:
    if field.default is None or field.default == () or field.default is PydanticUndefined:
        return ""
    return f"`{field.default}`"


def _metrics() -> Iterator[tuple[str, ...]]:
    ours = Metrics(Board()).registry
    for family in sorted(ours.collect(), key=lambda family: family.name):
        if not family.name.startswith("streamer_"):
            continue
        total = "_total" if family.type == "counter" else ""
        yield f"`{family.name}{total}`", _labels(ours, family.name), family.documentation


def _labels(registry: object, name: str) -> str:
    collector = getattr(registry, "_names_to_collectors", {}).get(name)
    labels = getattr(collector, "_labelnames", None)
    if labels is None:
        return "`state`" if name == "streamer_shards" else "`environment`"
    return " ".join(f"`{label}`" for label in labels)


def _catalog() -> Iterator[tuple[str, ...]]:
    for name, topic in TOPICS.items():
        activity = str(topic.ocsf_activity)
        if topic.activity_name is not None:
            activity += f" ({topic.activity_name})"
        yield (
            f"`{name}`",
            topic.category,
            topic.operation,
            topic.outcome,
            topic.severity,
            f"{topic.ocsf_class} / {activity}",
            f"{topic.ecs_category or '-'} / {', '.join(topic.ecs_types)}",
            f"{topic.target} (`{topic.target_id}`)",
        )


def _exit_codes() -> Iterator[tuple[str, ...]]:
    known = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.StreamerError)
    }
    assert known < set(_EXIT_CODES), "an error has an exit code that is not documented"
    for code, meaning in _EXIT_CODES.items():
        yield str(code), meaning


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def written(text: str) -> str:
    """Return the README with every table as it must be."""
    for name, table in tables().items():
        place = re.compile(rf"<!-- {name} -->\n.*?<!-- end -->", re.DOTALL)
        parts = place.split(text)
        count = len(parts) - 1
        assert count == 1, f"the README has {count} places for {name}"
        text = f"{parts[0]}<!-- {name} -->\n\n{table}\n\n<!-- end -->{parts[1]}"
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
