"""Whatever `GET /events` means, whatever happens meanwhile, and whenever the reader dies.

Each history checks, as it goes: what a response showed and a completed look covers has come out,
what a watermark claims has come out, every capture is in order; and in the end, that everything
visible came out, once, with its revisions counted, and nothing that must not.
"""

from __future__ import annotations

from collections import Counter

import pytest

from streamer.capture import seen
from tests.support.histories import READINGS, History, Traits

CHUNK = 250


def live_through(seeds: range, undated_share: float = 0.0) -> list[Traits]:
    """Go through histories; a failing one names its seed."""
    traits = []
    for seed in seeds:
        history = History(seed, undated_share)
        try:
            history.live()
        except Exception as error:
            error.add_note(f"in history {seed}: {history.server.reading}")
            raise
        traits.append(history.traits)
    return traits


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(6))
def test_every_event_comes_out_exactly_once_in_1500_histories(chunk: int) -> None:
    """No history loses or repeats an event, and the histories are as hard as they should be."""
    traits = live_through(range(chunk * CHUNK, (chunk + 1) * CHUNK))
    shares = {
        name: sum(getattr(trait, name) for trait in traits) / CHUNK
        for name in ("long_walk", "late", "killed_in_walk", "large_instant")
    }
    print(shares)  # noqa: T201
    assert shares["long_walk"] >= 0.40
    assert shares["late"] >= 0.25
    assert shares["killed_in_walk"] >= 0.25
    assert shares["large_instant"] >= 0.10
    combinations = Counter(trait.combination for trait in traits)
    assert len(combinations) == len(READINGS)
    assert min(combinations.values()) / CHUNK >= 0.05


@pytest.mark.timeout(300)
def test_every_event_comes_out_exactly_once_where_memory_is_cut_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has been seen is kept, and forgotten, in stretches of three events."""
    monkeypatch.setattr(seen, "SEGMENT_EVENTS", 3)
    monkeypatch.setattr(seen, "LEAST_EVENTS", 3)
    live_through(range(100))


@pytest.mark.timeout(300)
def test_events_that_do_not_say_when_they_were_created_come_out_exactly_once() -> None:
    """One in ten events has no time, wherever in a listing it stands and whoever dies meanwhile."""
    live_through(range(200), undated_share=0.1)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(50))
def test_every_event_comes_out_exactly_once_in_50_000_histories(chunk: int) -> None:
    """The same at length: `pytest -m long tests/property/test_walk_histories.py`."""
    live_through(range(10_000 + chunk * 1000, 10_000 + (chunk + 1) * 1000))


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("chunk", range(5))
def test_undated_events_come_out_exactly_once_in_5_000_histories(chunk: int) -> None:
    """The same at length, for events that do not say when they were created."""
    live_through(range(10_000 + chunk * 1000, 10_000 + (chunk + 1) * 1000), undated_share=0.1)
