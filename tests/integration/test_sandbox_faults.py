"""Every fault of the sandbox, as a client meets it, and the command line that asks for them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from streamer.sandbox.damage import gzip_bomb
from tests.support.sandbox_client import Reader, reading


async def answer(reader: Reader, path: str = "events?pageSize=200") -> tuple[int, str, bytes]:
    """Return the status, the content type and the bytes of an answer, nothing unpacked."""
    headers = {"Authorization": f"Bearer {reader.token}"}
    url = f"{reader.sandbox.url}/{path}"
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(url, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, response.content_type, await response.read()


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("throttle", 429, "application/json"),
        ("error_500", 500, "application/json"),
        ("bad_gateway", 502, "text/html"),
        ("status", 503, "application/octet-stream"),
        ("unauthorized", 401, "application/json"),
        ("html", 200, "text/html"),
        ("garbage", 200, "application/json"),
        ("truncated", 200, "application/json"),
        ("redirect", 302, "application/octet-stream"),
    ],
)
async def test_fault_that_is_an_answer(kind: str, status: int, content_type: str) -> None:
    """The fault has its status and type, shows nothing, and the next request is answered."""
    async with reading(events=300, environments=1) as reader:
        reader.sandbox.plan_fault(kind, path="/v1/events")
        found = await answer(reader)
        assert found[:2] == (status, content_type)
        if content_type == "application/json" and status != 200:
            assert json.loads(found[2])["errors"]
        elif status == 200:
            with pytest.raises(ValueError, match=r"."):
                json.loads(found[2])
        assert reader.sandbox.ledger() == []
        right = await answer(reader)
        assert right[0] == 200
        assert len(json.loads(right[2])["data"]) == 200
        if kind == "truncated":
            assert right[2].startswith(found[2])
            assert len(found[2]) > 50_000


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("half", aiohttp.ClientPayloadError),
        ("reset", aiohttp.ClientConnectionError),
        ("hang", aiohttp.ClientConnectionError),
    ],
)
async def test_fault_that_ends_the_connection(kind: str, error: type[Exception]) -> None:
    """The connection ends before the answer does, nothing was shown, and the next one is whole."""
    async with reading(events=300, environments=1, hang_s=0.1) as reader:
        # Twice: this client asks again by itself when a connection ends without a word.
        reader.sandbox.plan_fault(kind, path="/v1/events", count=1 if kind == "half" else 2)
        with pytest.raises(error):
            await answer(reader)
        assert reader.sandbox.ledger() == []
        assert (await answer(reader))[0] == 200


async def test_retry_after_in_each_form() -> None:
    """A 429 says when to come back in seconds, as a date, or not at all."""
    async with reading(events=0, throttle=1.0, faults_on="/v1/users") as reader:
        found: dict[str, str | None] = {}
        sent_at = datetime.fromtimestamp(0, UTC)
        for form in ("seconds", "date", "none"):
            reader.sandbox.change(retry_after=form, retry_after_s=7)
            headers = {"Authorization": f"Bearer {reader.token}"}
            url = f"{reader.sandbox.url}/users"
            async with reader.session.get(url, headers=headers) as response:
                assert response.status == 429
                found[form] = response.headers.get("Retry-After")
                sent_at = parsedate_to_datetime(response.headers["Date"])
        assert (found["seconds"], found["none"]) == ("7", None)
        wait = parsedate_to_datetime(str(found["date"])) - sent_at
        assert 6 <= wait.total_seconds() <= 8


async def test_large_bodies_are_large() -> None:
    """A huge body and what a bomb unpacks to have the size that was asked for, as a valid page."""
    size_bytes = 24 << 20
    async with reading(events=0, huge_bytes=size_bytes) as reader:
        reader.sandbox.plan_fault("huge")
        _, _, body = await answer(reader)
        assert size_bytes <= len(body) < size_bytes + (1 << 20)
        assert json.loads(body) == {"data": []}
        reader.sandbox.plan_fault("gzip_bomb")
        _, _, packed = await answer(reader)
        assert len(packed) < size_bytes / 500
        assert json.loads(gzip.decompress(packed)) == {"data": []}
        assert len(gzip.decompress(packed)) == size_bytes + 11
        assert gzip_bomb(size_bytes) == packed


async def test_endless_body_ends_with_its_reader() -> None:
    """A body without end goes on until the reader leaves, and holds nobody else up."""
    async with reading(events=5, environments=1) as reader:
        reader.sandbox.plan_fault("endless")
        headers = {"Authorization": f"Bearer {reader.token}"}
        async with reader.session.get(f"{reader.sandbox.url}/events", headers=headers) as response:
            received = 0
            async for chunk in response.content.iter_any():
                received += len(chunk)
                if received > 1 << 20:
                    break
            assert len(await reader.rows("events", includeAcknowledged="true")) == 5
            response.close()


async def test_stop_does_not_wait_for_what_hangs() -> None:
    """A sandbox stops at once, whatever it is in the middle of."""
    async with reading(events=5) as reader:
        asked = []
        for kind in ("hang", "endless", "trickle"):
            reader.sandbox.plan_fault(kind, path="/v1/events")
            asked.append(asyncio.create_task(answer(reader)))
        async with asyncio.timeout(10):
            while reader.sandbox._faults._planned:
                await reader.rows("users")
        began = time.monotonic()
        await reader.sandbox.stop()
        assert time.monotonic() - began < 5
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(result, aiohttp.ClientError) for result in results)


async def test_trickle_is_slow_but_right() -> None:
    """A trickled answer is the right one, a few bytes at a time."""
    async with reading(events=0) as reader:
        reader.sandbox.plan_fault("trickle")
        began = time.monotonic()
        _, answered = await reader.get(f"environments/{next(iter(reader.sandbox.environments))}")
        assert answered["data"]["name"] == "production"
        assert time.monotonic() - began > 1.0


async def test_bad_token_is_refused_before_any_fault() -> None:
    """Whoever may not read gets no body, whatever fault was planned."""
    async with reading(events=50, environments=1) as reader:
        reader.sandbox.plan_fault("truncated", path="/v1/events")
        reader.token = "no"  # noqa: S105 - on purpose
        assert (await answer(reader))[0] == 401


async def test_faults_are_planned_over_http() -> None:
    """The control endpoint plans faults, and refuses those that do not exist."""
    async with reading(events=0) as reader:
        url = f"{reader.sandbox.control_url}/fault"
        async with reader.session.post(url, json={"kind": "error_500", "count": 2}) as response:
            assert response.status == 200
        async with reader.session.post(url, json={"kind": "mischief"}) as response:
            assert response.status == 400
        statuses = [(await answer(reader, "users"))[0] for _ in range(3)]
        assert statuses == [500, 500, 200]


async def run_command(*arguments: str) -> asyncio.subprocess.Process:
    """Start `streamer sandbox`."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streamer",
        "sandbox",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )


async def exported(process: asyncio.subprocess.Process) -> dict[str, str]:
    """Return what the lines on standard output export."""
    assert process.stdout is not None
    lines = [await asyncio.wait_for(process.stdout.readline(), 30) for _ in range(3)]
    pairs = [line.decode().removeprefix("export ").strip().split("=", 1) for line in lines]
    return dict(pairs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_command_prints_exports_and_ends_with_0(number: signal.Signals) -> None:
    """The command says what `run` needs, has the readings asked for, and ends on a signal."""
    arguments = ("--port", "0", "--order", "newest", "--throttle", "0.5", "--token", "pat_1")
    process = await run_command(*arguments, "--events", "30", "--rate", "0")
    try:
        variables = await exported(process)
        url = variables.pop("STREAMER_FLATFILE__API_URL")
        assert variables == {
            "STREAMER_FLATFILE__CLIENT_ID": "sandbox",
            "STREAMER_FLATFILE__SECRET": "sandbox",
        }
        settings_url = url.replace("/v1", "/_sandbox/settings")
        async with aiohttp.ClientSession() as session, session.get(settings_url) as response:
            settings: dict[str, Any] = await response.json()
        assert (settings["order"], settings["throttle"], settings["tokens"]) == (
            "newest",
            0.5,
            ["pat_1"],
        )
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
        _, errors = await process.communicate()
    assert b"Traceback" not in errors


async def test_command_says_that_its_port_is_taken() -> None:
    """A taken port ends the command with 2 and a sentence, not with a traceback."""
    first = await run_command("--port", "0", "--events", "0")
    try:
        url = (await exported(first))["STREAMER_FLATFILE__API_URL"]
        port = url.split(":")[2].split("/")[0]
        second = await run_command("--port", port)
        _, errors = await asyncio.wait_for(second.communicate(), 30)
    finally:
        first.terminate()
        await first.communicate()
    assert second.returncode == 2
    assert f"127.0.0.1:{port}".encode() in errors
    assert b"Traceback" not in errors
