"""One fault per call: each request of a worker to Kafka is lost, or its answer, or it comes late.

In every run those that make a transaction; all others by command (`pytest -m chaos
tests/chaos/test_each_request.py`, a request takes half a minute).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.fault_run import PERIODIC, Wrong, flaws_of
from tests.support.kafka_proxy import Api, Fault

if TYPE_CHECKING:
    from tests.support.fault_run import Route

AT_ONCE = 4
"""Workers at the same time, where faults can be told apart by what they name."""

CAPTURE = (
    (Api.INIT_PRODUCER_ID, 0),
    (Api.ADD_PARTITIONS_TO_TXN, 1),
    (Api.PRODUCE, 1),
    (Api.PRODUCE, 2),
    (Api.END_TXN, 1),
)
"""Of the first capture: the transaction before it writes the shard's record."""

JOINING = 2
"""The first of the requests for metadata that the member of the group makes."""


@pytest.mark.timeout(400)
async def test_request_of_a_transaction_that_goes_wrong_loses_and_repeats_nothing(
    route: Route,
) -> None:
    """Each request of a transaction lost, answered to nobody, and late: every event once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(number: int, wrong: Wrong) -> list[str]:
        async with turn:
            return await flaws_of(route, f"run{number}", wrong, shared=True)

    wrongs = [Wrong(*request, fault) for request in CAPTURE for fault in Fault]
    found = await asyncio.gather(*(run(number, wrong) for number, wrong in enumerate(wrongs)))
    assert [flaw for flaws in found for flaw in flaws] == []


async def test_connection_that_is_lost_while_the_group_is_joined_is_made_again(
    route: Route,
) -> None:
    """Once the topics have been looked at, as before: the broker is given its time at the start."""
    wrong = Wrong(Api.METADATA, JOINING, Fault.LOSE_REQUEST)
    assert await flaws_of(route, "joining", wrong, begun=True) == []


@pytest.mark.chaos
@pytest.mark.timeout(3 * 3600)
async def test_any_request_that_goes_wrong_loses_and_repeats_nothing(route: Route) -> None:
    """Each request of a good run lost, answered to nobody, and late: every event once."""
    # The first one begins with a broker that has yet to make its own topics.
    _, *good = [await _requests_of_a_good_run(route, f"good{number}") for number in range(3)]
    first, second = ({api: n for api, n in run.items() if api not in PERIODIC} for run in good)
    assert first == second
    common = good[0] & good[1]
    for api, count in sorted(common.items()):
        for number in range(count):
            for fault in Fault:
                wrong = Wrong(api, number, fault)
                prefix = f"api{api}.{number}.{fault.name.lower()}"
                flaws = await flaws_of(route, prefix, wrong, begun=True)
                print(wrong, flaws or "no flaw")  # noqa: T201 - the test's second purpose
                assert flaws == []


async def _requests_of_a_good_run(route: Route, prefix: str) -> Counter[int]:
    before = Counter(route.proxy.seen)
    assert await flaws_of(route, prefix, None, begun=True) == []
    return route.proxy.seen - before
