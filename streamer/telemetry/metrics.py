"""Every metric, in one place: a test compares this list with the README.

Labels come from closed sets: never a URL, an id of an event or person, or an error's text.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from streamer.telemetry.board import Board

_REQUEST_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COMMIT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self, board: Board) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(_BoardCollector(board))
        self.records = Counter(
            "streamer_records_published",
            "Audit records committed to Kafka.",
            ["category"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "streamer_dead_letters",
            "Events that could not be normalized, or are too large; each has a stub in the topic.",
            ["reason"],
            registry=registry,
        )
        self.commits = Counter(
            "streamer_commits",
            "Kafka transactions by outcome: committed, lost, refused, unknown.",
            ["outcome"],
            registry=registry,
        )
        self.commit_duration = Histogram(
            "streamer_commit_duration_seconds",
            "From the first send of a transaction to the answer of its commit.",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        )
        self.requests = Counter(
            "streamer_flatfile_requests",
            "Requests to the Flatfile API by operation and outcome.",
            ["operation", "outcome"],
            registry=registry,
        )
        self.request_duration = Histogram(
            "streamer_flatfile_request_duration_seconds",
            "From sending a request to the Flatfile API to the end of its answer.",
            ["operation"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self.lookups = Counter(
            "streamer_lookups",
            "Names of actors and places that were asked for, by kind and outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.inventory_changes = Counter(
            "streamer_inventory_changes",
            "Changes of the inventory committed to Kafka: kind, and appeared, changed or gone.",
            ["kind", "change"],
            registry=registry,
        )
        self.restores = Counter(
            "streamer_shard_restores",
            "Times that a shard was restored from the log, by what made it necessary.",
            ["reason"],
            registry=registry,
        )
        self.torn = Counter(
            "streamer_torn_transactions",
            "Times that a checkpoint and the audit records disagreed and were mended.",
            registry=registry,
        )
        self.dropped = Counter(
            "streamer_events_dropped",
            "Events of the API that are not published, by reason: too_late.",
            ["reason"],
            registry=registry,
        )
        # There from the start: an alarm on an increase does not see a series begin.
        self.dropped.labels("too_late")


class _BoardCollector(Collector):
    def __init__(self, board: Board) -> None:
        self._board = board

    @override
    def collect(self) -> Iterable[Metric]:
        since = GaugeMetricFamily(
            "streamer_seconds_since_poll",
            "Seconds since the last complete poll of an environment; none if refused or gone.",
            labels=["environment"],
        )
        lag = GaugeMetricFamily(
            "streamer_watermark_lag_seconds",
            "How far an environment's watermark lies behind the clock; grows while it is quiet.",
            labels=["environment"],
        )
        sequence = GaugeMetricFamily(
            "streamer_sequence",
            "The sequence number of an environment's last committed record.",
            labels=["environment"],
        )
        now = time.time()
        for status in list(self._board.environments.values()):
            if status.should_be_polled:
                since.add_metric([status.id], status.since_poll_s)
            sequence.add_metric([status.id], status.sequence)
            if status.watermark is not None:
                lag.add_metric([status.id], now - status.watermark.timestamp())
        shards = GaugeMetricFamily(
            "streamer_shards", "Shards of this worker, by state.", labels=["state"]
        )
        states = list(self._board.shards.values())
        for state in sorted(set(states)):
            shards.add_metric([state], states.count(state))
        return [since, lag, sequence, shards]
