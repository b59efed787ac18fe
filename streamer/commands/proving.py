"""Says in a line whether what a demo has published keeps its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.commands.terminal import clipped, counted
from streamer.errors import CheckFailedError

if TYPE_CHECKING:
    from streamer.proof.outcome import Outcome


def verdict(outcome: Outcome, topic: str) -> str:
    """The line that says that everything holds.

    Raises:
        CheckFailedError: Something does not, or there is nothing.
    """
    if not outcome.records:
        raise CheckFailedError(
            where=f"topic {topic}",
            what="not proved: nothing was published",
            next_step="Let it run longer: --seconds.",
        )
    failures = outcome.findings.counts.total()
    if failures:
        first = outcome.findings.described[0]
        raise CheckFailedError(
            where=f"topic {topic}",
            what=f"not proved: {counted(failures, 'finding')} in {outcome.records:,} records; the "
            f"first, of environment {clipped(first.environment)}: {first.kind} at offset "
            f"{first.place.offset} of {first.place.topic}: {clipped(first.what)}",
            next_step="Please report this: it should not be possible.",
        )
    return (
        f"proved: {counted(outcome.records, 'record')} in "
        f"{counted(len(outcome.environments), 'environment')}, "
        "every sequence without a gap, every hash right, none there twice, "
        "headers, checkpoints and dead letters in agreement"
    )
