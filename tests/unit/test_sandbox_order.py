"""The order of a timeline, held against a sorted list."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.sandbox.order import Order

BACKLOG = 12


def backlog_ms(index: int) -> int:
    """Three events share each instant."""
    return 1000 + index // 3 * 100


Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(900, 1500)),
        st.tuples(st.just("remove"), st.integers(0, BACKLOG + 20)),
    ),
    max_size=25,
)


@settings(max_examples=400, deadline=None)
@given(steps=steps, bound=st.integers(800, 1600), start=st.integers(0, 30), size=st.integers(0, 30))
def test_order_is_that_of_a_sorted_list(
    steps: list[Step], bound: int, start: int, size: int
) -> None:
    """Whatever is added and removed, positions and bounds are those of a sorted list."""
    order = Order(BACKLOG, backlog_ms)
    times = {index: backlog_ms(index) for index in range(BACKLOG)}
    present = set(times)
    for kind, value in steps:
        if kind == "add":
            times[index := len(times)] = value
            present.add(index)
            order.add(value, index)
        elif value in times:
            assert order.remove(value, times[value]) == (value in present)
            present.discard(value)
    expected = sorted(present, key=lambda index: (times[index], index))
    assert len(order) == len(expected)
    assert [i for run in order.runs(0, len(order)) for i in run] == expected
    assert [i for run in order.runs(start, start + size) for i in run] == (
        expected[start : start + size]
    )
    assert order.first_at(bound) == sum(times[index] < bound for index in expected)
