"""The client against a server on loopback that does as it is told: everything that goes wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import time
import zlib
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest
import trustme
from pydantic import SecretStr

from streamer.config import FlatfileSettings
from streamer.errors import FlatfileAnswerError, FlatfileUnavailableError
from streamer.flatfile.budget import RateBudget
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.listing import PageRequest
from streamer.flatfile.transport import Patience
from tests.support.scripted_server import (
    DATE,
    Act,
    Asked,
    ScriptedServer,
    answer,
    endless,
    half,
    hang,
    reset,
)

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = Patience(attempts=3, wait_s=0.001, longest_wait_s=0.02)
FIRST_PAGE = PageRequest(None, 1, 1000)
PAGE = json.dumps(
    {"data": [{"id": "us_evt_1", "topic": "a:b", "createdAt": "2026-11-23T20:46:04Z"}]}
).encode()
GOOD = answer(PAGE)
SCARCE_BYTES = 1024 * 1024


class Server(ScriptedServer):
    """Does what its acts say, one after the other, and the last one for ever."""

    def __init__(self, *acts: Act, tls: ssl.SSLContext | None = None) -> None:
        self.acts = chain(acts[:-1], repeat(acts[-1]))
        super().__init__(self.next_act, tls)
        self.outcomes: list[str] = []

    def next_act(self, asked: Asked) -> Act:
        """Return what to do next."""
        del asked
        return next(self.acts)

    def client(
        self,
        patience: Patience = QUICK,
        budget: RateBudget | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> FlatfileClient:
        """Return a client with a personal token and a limit of 1 MiB a body."""
        settings = FlatfileSettings(
            api_url=self.url, token=SecretStr("pat_1"), max_body_bytes=SCARCE_BYTES
        )

        def count(operation: str, outcome: str, duration_s: float) -> None:
            assert operation == "list_events"
            assert duration_s >= 0
            self.outcomes.append(outcome)

        return FlatfileClient(settings, patience=patience, budget=budget, on_request=count, tls=tls)


def gzipped(body: bytes) -> Act:
    """Answer with a compressed body."""
    return answer(gzip.compress(body), Content_Encoding="gzip")


FAULTS: dict[str, tuple[Act, str]] = {
    "408": (answer(status=408), "server_error"),
    "429": (answer(status=429), "throttled"),
    "429 with seconds": (answer(status=429, Retry_After="0"), "throttled"),
    "429 with a date": (answer(status=429, Retry_After=DATE), "throttled"),
    "429 with nonsense": (answer(status=429, Retry_After="soon"), "throttled"),
    "500": (answer({"errors": []}, status=500), "server_error"),
    "502 with HTML": (
        answer(b"<html>", status=502, Content_Type="text/html"),
        "server_error",
    ),
    "503 with a date": (answer(status=503, Retry_After=DATE), "server_error"),
    "HTML with status 200": (answer(b"<html>", Content_Type="text/html"), "unreadable"),
    "HTML that says it is JSON": (answer(b"<html>"), "unreadable"),
    "an error with status 200": (answer({"errors": []}), "unreadable"),
    "nothing with status 204": (answer(status=204), "unreadable"),
    "a shorter body than announced": (answer(PAGE, announced=len(PAGE) + 1), "unreadable"),
    "JSON that is cut off": (answer(PAGE[:-1]), "unreadable"),
    "gzip that is cut off": (
        answer(gzip.compress(PAGE)[:-9], Content_Encoding="gzip"),
        "unreadable",
    ),
    "gzip that is none": (answer(PAGE, Content_Encoding="gzip"), "unreadable"),
    "a compression that was not asked for": (
        answer(zlib.compress(PAGE), Content_Encoding="deflate"),
        "unreadable",
    ),
    "half a body, then a reset": (half(PAGE, then=reset), "unreadable"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_may_pass_is_asked_for_again(fault: str) -> None:
    """A passing fault costs another attempt and loses nothing."""
    act, outcome = FAULTS[fault]
    async with Server(act, act, GOOD) as server, server.client() as client:
        page = await client.events_page(FIRST_PAGE)
    assert [row.id for row in page.rows] == ["us_evt_1"]
    assert server.outcomes == [outcome, outcome, "ok"]


async def test_web_page_is_called_one() -> None:
    """A page of a proxy with status 200 is named as what it is, whatever is in it."""
    act = answer(PAGE, Content_Type="text/html; charset=utf-8")
    async with Server(act) as server, server.client() as client:
        with pytest.raises(FlatfileUnavailableError, match="web page"):
            await client.events_page(FIRST_PAGE)


@pytest.mark.parametrize("fault", FAULTS)
async def test_attempts_are_bounded(fault: str) -> None:
    """A fault that stays becomes an error that is worth trying again, after three attempts."""
    act, outcome = FAULTS[fault]
    async with Server(act) as server, server.client() as client:
        with pytest.raises(FlatfileUnavailableError) as caught:
            await client.events_page(FIRST_PAGE)
    assert server.outcomes == [outcome] * 3
    assert str(caught.value).startswith("GET /events: ")
    assert caught.value.retriable


async def test_reset_connection_is_opened_again() -> None:
    """A connection that breaks before the answer costs another one; if all break, it is said."""
    async with Server(reset, reset, reset, GOOD) as server, server.client() as client:
        page = await client.events_page(FIRST_PAGE)
    assert [row.id for row in page.rows] == ["us_evt_1"]
    assert server.outcomes[-1] == "ok"
    assert set(server.outcomes[:-1]) == {"disconnected"}
    async with Server(reset) as server, server.client() as client:
        with pytest.raises(FlatfileUnavailableError, match="connection broke"):
            await client.events_page(FIRST_PAGE)
    assert server.outcomes == ["disconnected"] * 3


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (hang, "timeout"),
        (half(PAGE, then=hang), "timeout"),
        (endless(b" " * 10), "timeout"),
    ],
    ids=["no answer", "half a body", "a trickle"],
)
async def test_silence_and_trickles_time_out(act: Act, outcome: str) -> None:
    """A server that stops, or never ends, is given up within the time that is set."""
    slow = Patience(
        attempts=2, wait_s=0.001, longest_wait_s=0.01, silence_s=0.3, body_s=0.3, total_s=15
    )
    begun = time.monotonic()
    async with Server(act, GOOD) as server, server.client(slow) as client:
        client._transport._max_body_bytes = 1 << 40
        page = await client.events_page(FIRST_PAGE)
    assert [row.id for row in page.rows] == ["us_evt_1"]
    assert server.outcomes == [outcome, "ok"]
    assert time.monotonic() - begun < 12


async def test_error_whose_body_hangs_is_still_that_error() -> None:
    """What a status says does not wait for the rest of its body."""

    async def throttle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 X\r\nContent-Length: 100\r\n\r\n{")
        await hang(writer)

    async with Server(throttle, GOOD) as server, server.client() as client:
        await client.events_page(FIRST_PAGE)
    assert server.outcomes == ["throttled", "ok"]


@pytest.mark.parametrize(
    "act",
    [
        answer(b" " * (SCARCE_BYTES + 1)),
        answer(b"", announced=1 << 30),
        endless(b"[" * 50_000),
        gzipped(b"0" * (SCARCE_BYTES + 1)),
        gzipped(b'{"data":[' + b"[" * (200 << 20)),
    ],
    ids=["larger by a byte", "announced as 1 GB", "without an end", "compressed", "a gzip bomb"],
)
async def test_body_beyond_the_limit_is_refused_once(act: Act) -> None:
    """A body that is too large is not read to its end, and not asked for again."""
    async with Server(act) as server, server.client() as client:
        with pytest.raises(FlatfileAnswerError, match="1,048,576 bytes"):
            await client.events_page(FIRST_PAGE)
    assert server.outcomes == ["too_large"]


@pytest.mark.parametrize(
    "compressed",
    [
        gzip.compress(PAGE),
        gzip.compress(PAGE[:20]) + gzip.compress(PAGE[20:]),
        gzip.compress(PAGE.ljust(SCARCE_BYTES)),
    ],
    ids=["one member", "two members", "exactly the limit"],
)
async def test_compressed_body_is_read(compressed: bytes) -> None:
    """A gzip body up to the limit comes out whole."""
    act = answer(compressed, Content_Encoding="gzip")
    async with Server(act) as server, server.client() as client:
        page = await client.events_page(FIRST_PAGE)
    assert [row.id for row in page.rows] == ["us_evt_1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed_and_takes_no_token_along(status: int) -> None:
    """Wherever a redirect leads, the request ends there, and it is said what happened."""
    async with ScriptedServer(lambda _: GOOD) as other:
        redirect = answer(status=status, Location=f"{other.url}/events")
        async with Server(redirect) as server, server.client() as client:
            with pytest.raises(FlatfileAnswerError, match="redirect"):
                await client.events_page(FIRST_PAGE)
        assert server.outcomes == ["redirected"]
        assert other.asked == []


async def test_429_slows_all_requests_down() -> None:
    """A request that was throttled halves the rate of the whole account, and obeys the server."""
    budget = RateBudget(rate=100)
    async with Server(answer(status=429), GOOD) as server, server.client(budget=budget) as client:
        await client.events_page(FIRST_PAGE)
        assert 50 <= budget.rate < 51
    assert server.outcomes == ["throttled", "ok"]


@pytest.mark.parametrize(
    "retry_after", ["Mon, 23 Nov 2026 20:46:05 GMT", "Fri, 31 Dec 9999", "9e9"]
)
async def test_retry_after_is_capped(retry_after: str) -> None:
    """However long the server says to wait, it is no longer than we are willing to."""
    throttle = answer(status=503, Retry_After=retry_after)
    async with Server(throttle, GOOD) as server, server.client() as client:
        async with asyncio.timeout(5):
            await client.events_page(FIRST_PAGE)
    assert server.outcomes == ["server_error", "ok"]


async def test_refused_connection_is_unavailable() -> None:
    """A server that is not there is an error that is worth trying again, without its address."""
    async with Server(GOOD) as server:
        client = server.client()
    async with client:
        with pytest.raises(FlatfileUnavailableError, match="no connection") as caught:
            await client.events_page(FIRST_PAGE)
    assert "127.0.0.1" not in str(caught.value)


async def test_cancelled_request_is_let_go_at_once() -> None:
    """A caller who does not want to wait any longer need not."""
    async with Server(hang, GOOD) as server, server.client() as client:
        waiting = asyncio.create_task(client.events_page(FIRST_PAGE))
        await server.arrived.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        page = await client.events_page(FIRST_PAGE)
    assert len(page.rows) == 1
    assert server.outcomes == ["cancelled", "ok"]


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority of this test alone."""
    return trustme.CA()


@pytest.fixture
def https(authority: trustme.CA) -> Callable[..., Server]:
    """Make servers that speak TLS."""

    def make(*acts: Act, name: str = "127.0.0.1") -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return Server(*acts, tls=context)

    return make


async def test_certificate_of_an_unknown_authority_is_not_accepted(
    https: Callable[..., Server],
) -> None:
    """Nothing is sent to a server whose certificate is not trusted, and it is said why."""
    async with https(GOOD) as server, server.client() as client:
        with pytest.raises(FlatfileUnavailableError, match="certificate"):
            await client.events_page(FIRST_PAGE)
    assert server.asked == []
    assert server.outcomes == ["untrusted"]


async def test_certificate_of_another_host_is_not_accepted(
    https: Callable[..., Server], authority: trustme.CA
) -> None:
    """A trusted certificate for another name is as good as none."""
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    async with https(GOOD, name="example.com") as server, server.client(tls=tls) as client:
        with pytest.raises(FlatfileUnavailableError, match="certificate"):
            await client.events_page(FIRST_PAGE)
    assert server.asked == []


async def test_trusted_certificate_is_accepted(
    https: Callable[..., Server], authority: trustme.CA
) -> None:
    """With the right authority the same request goes through."""
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    async with https(GOOD) as server, server.client(tls=tls) as client:
        page = await client.events_page(FIRST_PAGE)
    assert len(page.rows) == 1


async def test_plain_host_is_reached_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A host that is not loopback is asked for through the proxy that the environment names."""
    async with Server(GOOD) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        settings = FlatfileSettings(
            api_url="http://api.example.com/v1",
            plain_http_hosts=("api.example.com",),
            token=SecretStr("pat_1"),
        )
        async with FlatfileClient(settings, patience=QUICK) as client:
            page = await client.events_page(FIRST_PAGE)
    assert len(page.rows) == 1
    assert proxy.asked[0].target.startswith("http://api.example.com/v1/events?")
