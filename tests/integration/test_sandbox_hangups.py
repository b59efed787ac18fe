"""Clients of the sandbox that hang up: that is their affair, and no error of its own."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.support.streamer_command import finish, start

PAIR = {"clientId": "sandbox", "secret": "sandbox"}


async def _hang_up(url: str, token: str) -> None:
    """Ask for a page of events, and be gone before it comes."""
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"GET /v1/events?pageSize=1000 HTTP/1.1\r\nHost: sandbox\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("fault", ["", "half", "endless", "trickle"])
async def test_a_client_that_hangs_up_leaves_no_traceback(fault: str) -> None:
    """Whoever leaves before the answer is forgotten; others are served, and nothing is printed."""
    faults = [f"--{fault}", "1", "--faults-on", "/v1/events"] if fault else []
    process = await start("sandbox", "--port", "0", "--latency", "0.2", *faults)
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        url = line.decode().strip().partition("=")[2]
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/auth", json=PAIR) as answer:
                token = (await answer.json())["accessToken"]
            for _ in range(5):
                await _hang_up(url, token)
            # Every answer is as late: this one comes after those to whoever has left.
            bearer = {"Authorization": f"Bearer {token}"}
            async with session.get(f"{url}/environments", headers=bearer) as answer:
                assert answer.status == 200
        process.terminate()
        result = await finish(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert result.code == 0
    assert len(result.err.splitlines()) == 1, result.err
