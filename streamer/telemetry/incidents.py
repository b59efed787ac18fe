"""What happens, logged and counted in one call, so that neither is forgotten.

ERROR: something is lost or a person must act. WARNING: unexpected, mends itself. INFO: a state
changed. What can happen many times a second is written at most once a minute, with a count.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from streamer.errors import CommitRefusedError, CommitUnknownError, ShardLostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from streamer.telemetry.metrics import Metrics

log = structlog.get_logger()

REPEATED_AFTER_S: Final = 60.0
"""An incident of one kind at one place is written again after this time."""


class Incidents:
    """One worker's incidents."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._written: dict[tuple[str, ...], tuple[float, int]] = {}

    def request(self, operation: str, outcome: str, duration_s: float) -> None:
        """A request to the Flatfile API ended."""
        self._metrics.requests.labels(operation, outcome).inc()
        self._metrics.request_duration.labels(operation).observe(duration_s)

    def lookup(self, kind: str, outcome: str, count: int = 1) -> None:
        """Names were asked for."""
        self._metrics.lookups.labels(kind, outcome).inc(count)

    def dropped(self, environment: str, reason: str, count: int) -> None:
        """Events of the API are not published, although nothing excludes them."""
        self._metrics.dropped.labels(reason).inc(count)
        if repeated := self._due("dropped", environment, reason):
            log.warning(
                "capture.events_dropped",
                environment=environment,
                reason=reason,
                events=count,
                repeated=repeated - 1,
            )

    def dead_letter(self, environment: str, reason: str, size_bytes: int) -> None:
        """An event went to the dead letters; its stub is in the audit topic."""
        self._metrics.dead_letters.labels(reason).inc()
        if repeated := self._due("dead_letter", environment, reason):
            log.warning(
                "archiver.event_dead_lettered",
                environment=environment,
                reason=reason,
                size_bytes=size_bytes,
                repeated=repeated - 1,
            )

    def poll_failed(self, environment: str, reason: str, wait_s: float) -> None:
        """A look at an environment ended early; it is tried again after a while."""
        if repeated := self._due("poll_failed", environment):
            log.warning(
                "archiver.poll_failed",
                environment=environment,
                reason=reason,
                wait_s=round(wait_s, 1),
                repeated=repeated - 1,
            )

    def inventory_failed(self, kind: str, reason: str) -> None:
        """A list could not be read; what it shows is left as it was until the next pass."""
        if repeated := self._due("inventory_failed", kind):
            log.warning("inventory.list_failed", kind=kind, reason=reason, repeated=repeated - 1)

    def inventory_changed(self, changes: Sequence[tuple[str, str]]) -> None:
        """Changes of the inventory were committed: kind, and appeared, changed or gone."""
        counts = Counter(changes)
        for (kind, change), count in counts.items():
            self._metrics.inventory_changes.labels(kind, change).inc(count)
        named = {f"{kind}s_{change}": count for (kind, change), count in sorted(counts.items())}
        log.info("inventory.published", **named)

    @contextlib.contextmanager
    def commit(
        self, *, shard: int, environments: int, categories: Mapping[str, int]
    ) -> Iterator[None]:
        """A Kafka transaction, from its first send to its end."""
        began = time.monotonic()
        outcome = "unknown"
        try:
            yield
            outcome = "committed"
        except ShardLostError:
            outcome = "lost"
            raise
        except CommitRefusedError:
            outcome = "refused"
            raise
        except CommitUnknownError:
            outcome = "unknown"
            raise
        finally:
            duration_s = time.monotonic() - began
            self._metrics.commits.labels(outcome).inc()
            self._metrics.commit_duration.observe(duration_s)
            if outcome == "committed":
                for category, count in categories.items():
                    self._metrics.records.labels(category).inc(count)
                log.debug(
                    "shard.transaction_committed",
                    shard=shard,
                    environments=environments,
                    records=sum(categories.values()),
                    duration_s=round(duration_s, 4),
                )

    def restored(self, *, shard: int, reason: str, records: int, duration_s: float) -> None:
        """A shard was read back from the log and goes on."""
        self._metrics.restores.labels(reason).inc()
        log.info(
            "shard.restored",
            shard=shard,
            reason=reason,
            records=records,
            duration_s=round(duration_s, 3),
        )

    def torn(self, *, shard: int, environment: str, checkpoint: int, records: int) -> None:
        """A checkpoint and the audit records of an environment disagree; the records win."""
        self._metrics.torn.inc()
        log.error(
            "shard.torn_transaction_mended",
            shard=shard,
            environment=environment,
            checkpoint_sequence=checkpoint,
            records_sequence=records,
        )

    def _due(self, *place: str) -> int:
        """How many times it has happened since it was last written, or 0 if that was just now."""
        written_at, count = self._written.get(place, (float("-inf"), 0))
        now = time.monotonic()
        if now - written_at < REPEATED_AFTER_S:
            self._written[place] = (written_at, count + 1)
            return 0
        self._written[place] = (now, 0)
        return count + 1
