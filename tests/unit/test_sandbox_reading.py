"""Every reading of `since`, held against what it says; and which requests go wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import SettingsError
from streamer.sandbox.damage import _ANSWERS, _WIRE
from streamer.sandbox.faults import KINDS, FaultChooser, Faults
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.reading import Bound, Order, Reading, Resolution

if TYPE_CHECKING:
    from collections.abc import Callable

CUT: Callable[[int], int] = lambda at_ms: at_ms // 1000  # noqa: E731 - a table of four
ROUND: Callable[[int], int] = lambda at_ms: (at_ms + 500) // 1000  # noqa: E731
SAID: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "ms": lambda created, since: (created, since),
    "cut": lambda created, since: (CUT(created), CUT(since)),
    "round": lambda created, since: (ROUND(created), ROUND(since)),
    "since_cut": lambda created, since: (created, CUT(since) * 1000),
    "since_round": lambda created, since: (created, ROUND(since) * 1000),
}


@given(
    resolution=st.sampled_from(get_args(Resolution)),
    bound=st.sampled_from(get_args(Bound)),
    created_ms=st.integers(0, 4000),
    since_ms=st.integers(0, 4000),
)
def test_bound_shows_what_the_reading_says(
    resolution: Resolution, bound: Bound, created_ms: int, since_ms: int
) -> None:
    """An event is shown if, and only if, its time is past `since` as this reading compares them."""
    reading = Reading(since_resolution=resolution, since_bound=bound)
    created, since = SAID[resolution](created_ms, since_ms)
    expected = created >= since if bound == "inclusive" else created > since
    assert (created_ms >= reading.bound_ms(since_ms)) == expected


def test_faults_befall_the_shares_that_were_asked_for() -> None:
    """Faults are drawn by their shares, exclude each other, and leave other paths alone."""
    chooser = FaultChooser(seed=1)
    faults = Faults(throttle=0.2, reset=0.1, faults_on="/v1/events")
    drawn = Counter(chooser.choose("/v1/events", faults) for _ in range(10_000))
    assert 1900 < drawn["throttle"] < 2100
    assert 900 < drawn["reset"] < 1100
    assert set(drawn) == {"throttle", "reset", None}
    assert {chooser.choose("/v1/users", faults) for _ in range(100)} == {None}


def test_planned_faults_come_first_and_once() -> None:
    """A fault that was planned befalls the next matching requests, as often as was asked for."""
    chooser = FaultChooser(seed=1)
    chooser.plan("half", "/v1/events", 2)
    assert chooser.choose("/v1/users", Faults()) is None
    assert [chooser.choose("/v1/events", Faults()) for _ in range(3)] == ["half", "half", None]
    with pytest.raises(ValueError, match="no fault"):
        chooser.plan("flood", "/v1/", 1)


def test_every_fault_is_known_on_the_wire() -> None:
    """Each fault that can be asked for has its damage, and there is no other."""
    assert set(KINDS) == set(_ANSWERS) | set(_WIRE)
    assert len(KINDS) == 16


def test_options_are_one_flat_object_in_json() -> None:
    """Readings and faults are given beside the other options, and checked like them."""
    options = SandboxOptions.from_json(
        {"order": "newest", "throttle": 1, "events": 5, "until": "2026-01-05T09:30:00Z"}
    )
    assert options.reading.order == "newest"
    assert options.faults.throttle == 1.0
    assert options.until is not None
    assert options.changed({"order": "oldest", "rate": 3}).faults.throttle == 1.0
    for wrong in ({"order": "sideways"}, {"throttel": 1}, {"events": 9}, {"rate": "fast"}):
        with pytest.raises(SettingsError) as caught:
            options.changed(wrong)
        assert next(iter(wrong)) in str(caught.value)
    assert get_args(Order) == ("oldest", "newest", "shuffled")
