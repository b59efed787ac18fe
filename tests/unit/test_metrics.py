"""What an alarm is made of is there when it is needed, and does not cry for nothing."""

from __future__ import annotations

from streamer.telemetry.board import Board, EnvironmentStatus
from streamer.telemetry.metrics import Metrics


def test_only_environments_that_should_be_polled_have_an_age() -> None:
    """One that is refused, rests or is gone would grow older for ever, and nobody could mend it."""
    board = Board()
    for name, status in {
        "polled": EnvironmentStatus("polled", "", 0),
        "forbidden": EnvironmentStatus("forbidden", "", 0, state="forbidden"),
        "resting": EnvironmentStatus("resting", "", 0, state="resting"),
        "gone": EnvironmentStatus("gone", "", 0, is_gone=True),
    }.items():
        board.environments[name] = status
    registry = Metrics(board).registry
    ages = {
        sample.labels["environment"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "streamer_seconds_since_poll"
    }
    assert ages == {"polled"}


def test_counters_that_alarms_look_at_are_there_before_they_count() -> None:
    """An increase from nothing to one is none."""
    registry = Metrics(Board()).registry
    assert registry.get_sample_value("streamer_torn_transactions_total") == 0
    too_late = registry.get_sample_value("streamer_events_dropped_total", {"reason": "too_late"})
    assert too_late == 0
