"""What a verification found, for people and for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from streamer.commands.terminal import clipped, counted
from streamer.proof.findings import MEANINGS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from streamer.proof.findings import Finding
    from streamer.proof.outcome import Outcome
    from streamer.proof.stretch import Stretch

_NAME_LENGTH: Final = 40
_KIND_WIDTH: Final = max(map(len, Kind))
_HEAD_SHOWN: Final = 16


def as_text(outcome: Outcome, topic: str) -> Iterator[str]:
    """Return the lines of a report."""
    stretches = sorted(outcome.environments.values(), key=lambda one: one.environment)
    width = max((len(clipped(one.environment, _NAME_LENGTH)) for one in stretches), default=0)
    for one in stretches:
        yield _stretch(one, width)
    findings = outcome.findings
    total = findings.counts.total()
    if stretches and total:
        yield ""
    yield from map(_finding, findings.described)
    if total > len(findings.described):
        yield f"… and {total - len(findings.described):,} more"
    for kind, count in sorted(findings.counts.items()):
        yield ""
        yield f"{kind} ({count:,}): {MEANINGS[kind].what}"
        yield f"  {MEANINGS[kind].next_step}"
    if stretches or total:
        yield ""
    read = f"{counted(outcome.records, 'record')} in {counted(len(stretches), 'environment')}"
    yield f"{topic} {'does NOT hold' if total else 'holds'}: {read}, " + (
        counted(total, "finding") if total else "nothing missing, altered, moved or twice"
    )


def as_json(outcome: Outcome, topic: str) -> str:
    """Return the report as one JSON object."""
    findings = outcome.findings
    return json.dumps(
        {
            "topic": topic,
            "holds": not findings.counts,
            "records": outcome.records,
            "environments": [_stretch_members(one) for one in outcome.environments.values()],
            "counts": dict(sorted(findings.counts.items())),
            "findings": [_finding_members(one) for one in findings.described],
        }
    )


def _stretch(one: Stretch, width: int) -> str:
    name = clipped(one.environment, _NAME_LENGTH)
    oldest, newest = one.times.oldest, one.times.newest
    line = f"{name:<{width}}  records {one.first:,} to {one.highest:,}"
    if oldest is not None and newest is not None:
        line += f"  {oldest:%Y-%m-%d %H:%M}Z to {newest:%Y-%m-%d %H:%M}Z"
    line += f"  head {one.link.head.hex()[:_HEAD_SHOWN]}…"
    return line + ("  (the first ones were deleted: retention, no gap)" if one.begins_late else "")


def _stretch_members(one: Stretch) -> dict[str, Any]:
    times = one.times
    return {
        "environment": one.environment,
        "partition": one.partition,
        "records": one.records,
        "first_sequence": one.first,
        "last_sequence": one.highest,
        "head": one.link.head.hex(),
        "first_deleted_by_retention": one.begins_late,
        "oldest": _instant(times.oldest),
        "newest": _instant(times.newest),
        "first_observed": times.first_observed,
        "last_observed": times.last_observed,
    }


def _finding(one: Finding) -> str:
    place = f"{one.place.topic} {one.place.partition}/{one.place.offset}"
    name = clipped(one.environment, _NAME_LENGTH) or "-"
    return f"{one.kind:<{_KIND_WIDTH}}  {name}  {place}  {clipped(one.what)}"


def _finding_members(one: Finding) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "environment": one.environment,
        "topic": one.place.topic,
        "partition": one.place.partition,
        "offset": one.place.offset,
        "what": one.what,
    }


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
