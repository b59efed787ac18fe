"""`streamer check --explain`: what a platform engineer reads about the server."""

from __future__ import annotations

from typing import Any

from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import Result, streamer

NO_KAFKA = {
    "STREAMER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "STREAMER_KAFKA__STARTUP_TIMEOUT": "1",
}
"""What is explained is about Flatfile: a broker that is away does not hide it."""


async def _explain(settings: dict[str, str] | None = None, **options: Any) -> Result:  # noqa: ANN401
    async with SandboxProcess(**options) as sandbox:
        variables = {**sandbox.environ, **NO_KAFKA, **(settings or {})}
        result = await streamer("check", "--explain", settings=variables)
    assert result.code == 5  # the broker
    assert "Traceback" not in result.everything
    return result


def _line(result: Result, subject: str) -> str:
    """The word and the text of the line about a subject."""
    return next(
        f"{line[:7].strip()}: {line[9:].removeprefix(subject).strip()}"
        for line in result.lines
        if line[9:].startswith(f"{subject}  ")
    )


async def test_a_long_listing_newest_first_is_explained() -> None:
    """Each line says what this server does, and the rest what follows from it."""
    result = await _explain(events=30_000, order="newest", since_bound="exclusive", page_cap=100)
    assert _line(result, "order").startswith("ok: newest first: 300 events looked at")
    assert _line(result, "page size") == "ok: 100 at most, although 1,000 are asked for"
    assert _line(result, "since") == "ok: compared to the millisecond; that instant is left out"
    assert " events in 3 environments" in _line(result, "backlog")
    assert _line(result, "rate limit").startswith("ok: not met: ")
    told = " ".join(result.out.split())
    assert "Of a longer one look for the far end first" in told
    assert "up to 800 events (8 pages)" in told


async def test_what_three_events_cannot_show_is_not_told() -> None:
    """Order and page size of a server with hardly any events cannot be seen, and that is said."""
    result = await _explain(events=3)
    assert _line(result, "order").startswith("-: cannot be seen from here: 3 events")
    assert _line(result, "page size").startswith("-: cannot be seen from here: ")
    assert _line(result, "backlog") == "ok: 3 events in 3 environments"
    assert "Take in at once what fits on a page" in result.out
    assert "For the backlog send 3 requests" in result.out


async def test_a_server_that_throttles_is_explained_at_its_pace() -> None:
    """429s are waited for and counted, and end neither the check nor what is explained."""
    result = await _explain(events=3000, environments=1, throttle=0.15, retry_after="none", seed=3)
    assert _line(result, "credentials").startswith("ok: ")
    assert _line(result, "order").startswith("ok: oldest first")
    assert "were answered with 429" in _line(result, "rate limit")


async def test_a_start_now_leaves_no_backlog() -> None:
    """With `START=now` there is nothing to read before the first run, and it says so."""
    result = await _explain({"STREAMER_CAPTURE__START": "now"}, events=100)
    assert _line(result, "backlog") == "ok: none: STREAMER_CAPTURE__START is now"
    assert "there is no backlog to read" in " ".join(result.out.split())


async def test_an_account_that_is_closed_is_one_failure() -> None:
    """403 for every environment fails the first line, and the others say why they are missing."""
    async with SandboxProcess(events=10, environments=1) as sandbox:
        await sandbox.settings(status=1.0, status_code=403, faults_on="/v1/events")
        result = await streamer("check", "--explain", settings={**sandbox.environ, **NO_KAFKA})
    assert _line(result, "order").startswith("FAILED: GET /events: status 403")
    assert _line(result, "since") == "-: not looked at: see order"
