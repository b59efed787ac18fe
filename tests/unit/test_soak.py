"""Whether a soak would notice growth."""

from __future__ import annotations

import pytest

from tests.support.soak_run import MEASURES, Sample, SoakReport

STEADY = Sample(0.0, memory_bytes=100_000_000, tasks=100, sockets=60, threads=2)


def report(lasted_s: int, **more_at_the_end: int) -> SoakReport:
    """Of samples that rise from the first to the last by so much."""
    samples = [
        Sample(
            float(after_s),
            **{
                name: getattr(STEADY, name)
                + more_at_the_end.get(name, 0) * after_s // (lasted_s or 1)
                for name in MEASURES
            },
        )
        for after_s in range(0, lasted_s + 1, 10)
    ]
    return SoakReport(samples)


def test_what_only_varies_has_not_grown() -> None:
    """Half an hour with less than 5 % more at its end is no finding, nor is a peak."""
    steady = report(1800, memory_bytes=4_000_000)
    peak = steady.samples[150]._replace(tasks=1000, sockets=1000)
    assert SoakReport([*steady.samples[:150], peak, *steady.samples[151:]]).findings == []


@pytest.mark.parametrize(
    "more", [{"memory_bytes": 15_000_000}, {"tasks": 20}, {"sockets": 9}, {"threads": 2}], ids=str
)
def test_what_rises_steadily_is_said(more: dict[str, int]) -> None:
    """Whatever is 5 % more in the last part than in the first, after minute 8, is named."""
    (found,) = report(1800, **more).findings
    assert found.startswith(f"{next(iter(more))}: ")


def test_growth_before_all_has_its_size_is_none() -> None:
    """What rises until minute 8 and no further is no finding."""
    grown = [one._replace(memory_bytes=200_000_000) for one in report(1800).samples]
    assert SoakReport([*report(470).samples, *grown[48:]]).findings == []


def test_short_run_says_nothing_about_growth() -> None:
    """Before minute 8, and four minutes after it, nothing is held against anything."""
    assert report(600, tasks=500).parts() == []
    assert report(600, tasks=500).findings == []
