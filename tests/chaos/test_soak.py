"""A worker that lives for half an hour under a steady load: what it takes does not grow.

By command: `pytest -m chaos tests/chaos/test_soak.py --minutes 30 --report soak.json -s`; with
`--minutes 0.4` the same without a word about growth.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamer.broker.local import LocalBroker
from tests.support.soak_run import SoakReport, soak


@pytest.mark.chaos
@pytest.mark.timeout(4 * 3600)
async def test_steady_load_lets_nothing_grow_and_loses_and_repeats_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """From minute 8 on memory, tasks, sockets and threads stay; every event is there once."""
    minutes = request.config.getoption("--minutes")
    path = Path(request.config.getoption("--report") or tmp_path / "soak.json")
    report = SoakReport()
    try:
        async with LocalBroker(tmp_path / "broker") as broker:
            await soak(broker.bootstrap_servers, "soak", report, duration_s=60.0 * minutes)
    finally:
        path.write_text(report.written())  # noqa: ASYNC240 - nothing else runs any more
    print(json.dumps(report.told(), indent=2))  # noqa: T201 - the test's second purpose
    assert report.findings == []
