"""What `check --explain` sees of a server, against every reading that the sandbox has."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

import pytest

from streamer.config import FlatfileSettings
from streamer.errors import FlatfileForbiddenError
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.server_profile import Order
from streamer.flatfile.since_reading import Comparison, Reading
from streamer.flatfile.survey import Surveyor
from streamer.sandbox import reading
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamer.flatfile.survey import Survey

EVENTS = 2000

ORDERS = {
    "oldest": Order.OLDEST_FIRST,
    "newest": Order.NEWEST_FIRST,
    "shuffled": Order.NONE,
}
COMPARISONS = {
    "ms": Comparison.EXACT,
    "cut": Comparison.BOTH_CUT,
    "round": Comparison.BOTH_ROUNDED,
    "since_cut": Comparison.SINCE_CUT,
    "since_round": Comparison.SINCE_ROUNDED,
}
SAME = {
    Reading(Comparison.SINCE_CUT, inclusive=True): {Reading(Comparison.BOTH_CUT, inclusive=True)},
    Reading(Comparison.BOTH_CUT, inclusive=True): {Reading(Comparison.SINCE_CUT, inclusive=True)},
}
"""Whoever cuts `since` need not cut `createdAt`, if the bound includes itself."""

READINGS = [
    (*each, (100, 1000)[number % 2])
    for number, each in enumerate(
        product(ORDERS, get_args(reading.Bound), get_args(reading.Resolution))
    )
]


@asynccontextmanager
async def _account(**options: Any) -> AsyncIterator[Sandbox]:  # noqa: ANN401 - as SandboxOptions
    sandbox = Sandbox(SandboxOptions.from_json({"environments": 1, "events": EVENTS, **options}))
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.stop()


async def _look(sandbox: Sandbox, **options: Any) -> tuple[Survey, int]:  # noqa: ANN401
    requests = 0

    def count(_: str, __: str, ___: float) -> None:
        nonlocal requests
        requests += 1

    settings = FlatfileSettings.model_validate(
        {"api_url": sandbox.url, "client_id": "sandbox", "secret": "sandbox"}
    )
    async with FlatfileClient(settings, on_request=count) as client:
        options = {"start": None, "backlog": True, **options}
        survey = await Surveyor(client.events_page, page_size=1000).look(
            list(sandbox.environments), **options
        )
    return survey, requests


def _emit_on_whole_seconds(sandbox: Sandbox) -> None:
    """Two events that show whether a bound in seconds includes itself, at either end."""
    environment = next(iter(sandbox.environments))
    now = datetime.now(UTC).replace(microsecond=0)
    for at in (now - timedelta(days=30), now):
        sandbox.emit(environment, createdAt=at.isoformat().replace("+00:00", ".000Z"))


@pytest.mark.parametrize(("order", "bound", "resolution", "cap"), READINGS)
async def test_every_reading_is_told_right(
    order: str, bound: str, resolution: str, cap: int
) -> None:
    """Order, cap, `since` and backlog are what the server was made with, within few requests."""
    async with _account(
        order=order, since_bound=bound, since_resolution=resolution, page_cap=cap
    ) as sandbox:
        _emit_on_whole_seconds(sandbox)
        survey, requests = await _look(sandbox)
    truth = Reading(COMPARISONS[resolution], inclusive=bound == "inclusive")
    assert survey.order is ORDERS[order]
    assert survey.cap == (cap if cap < survey.page_size else None)
    assert set(survey.since.left) == {truth} | SAME.get(truth, set())
    assert survey.backlog is not None
    assert survey.backlog.unknown_beyond is None
    assert abs(survey.backlog.events - EVENTS) <= EVENTS / 8
    assert requests <= 30


@pytest.mark.parametrize("resolution", get_args(reading.Resolution))
async def test_the_truth_is_never_struck_out_by_events_that_come_and_go(resolution: str) -> None:
    """With arrivals and expiry between any two requests, the real reading stays possible."""
    async with _account(
        order="newest", since_resolution=resolution, rate=50.0, expire_rate=50.0, page_cap=100
    ) as sandbox:
        survey, _ = await _look(sandbox)
    assert Reading(COMPARISONS[resolution], inclusive=True) in survey.since.left
    assert survey.cap == 100


async def test_an_account_without_events_shows_nothing() -> None:
    """Where there is nothing to see, nothing is told."""
    async with _account(events=0) as sandbox:
        survey, requests = await _look(sandbox)
    assert survey.order is Order.UNKNOWN
    assert survey.cap is None
    assert survey.since.comparisons == set(Comparison)
    assert survey.since.inclusive is None
    assert survey.backlog is not None
    assert (survey.backlog.events, survey.backlog.is_counted) == (0, True)
    assert requests == 2


async def test_a_listing_on_one_page_is_not_taken_for_a_cap() -> None:
    """Of 300 events on one page the cap cannot be seen, and all are counted."""
    async with _account(events=300) as sandbox:
        survey, _ = await _look(sandbox)
    assert survey.cap is None
    assert survey.longest == 300
    assert survey.backlog is not None
    assert (survey.backlog.events, survey.backlog.is_counted) == (300, True)


async def test_the_backlog_is_counted_from_the_start_on() -> None:
    """What is older than `START` is no part of it; with `now` it is not asked for."""
    async with _account(days=10.0, page_cap=100) as sandbox:
        start = datetime.now(UTC) - timedelta(days=5)
        survey, _ = await _look(sandbox, start=start)
        assert survey.backlog is not None
        assert abs(survey.backlog.events - EVENTS / 2) <= EVENTS / 8
        survey, requests = await _look(sandbox, backlog=False)
        assert survey.backlog is None
        assert requests <= 8


async def test_a_large_account_costs_no_more_requests() -> None:
    """Of 40 environments five are looked at one by one; the backlog is that of the account."""
    async with _account(environments=40, page_cap=100) as sandbox:
        survey, requests = await _look(sandbox)
    assert len(survey.looked_at) == 5
    assert survey.backlog is not None
    assert abs(survey.backlog.events - EVENTS) <= EVENTS / 8
    assert requests <= 30


async def test_an_environment_that_is_closed_does_not_hide_the_others() -> None:
    """403 for one environment is told; if all are closed, there is nothing to look at."""
    async with _account(environments=2) as sandbox:
        closed, open_ = sandbox.world.account.environments.values()
        closed.forbidden = True
        survey, _ = await _look(sandbox)
        assert (survey.closed, survey.looked_at) == ((closed.id,), (open_.id,))
        open_.forbidden = True
        with pytest.raises(FlatfileForbiddenError):
            await _look(sandbox)
