"""What headers and proxy variables say, and that nothing else is listened to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streamer.errors import SettingsError
from streamer.flatfile.proxies import proxy_for
from streamer.flatfile.response_headers import retry_after_s, server_time

DATE = "Mon, 23 Nov 2026 20:46:05 GMT"
API = "https://api.example.com/v1"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without the proxy variables of the machine."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("date", "instant"),
    [
        (DATE, datetime(2026, 11, 23, 20, 46, 5, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 21:46:05 +0100", datetime(2026, 11, 23, 20, 46, 5, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 20:46:05 -0000", datetime(2026, 11, 23, 20, 46, 5, tzinfo=UTC)),
        ("yesterday", None),
        ("Mon, 99 Nov 2026 20:46:05 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("", None),
    ],
)
def test_server_time_is_an_instant_in_utc_or_none(date: str, instant: datetime | None) -> None:
    """A `Date` that makes no sense is none, and never an exception."""
    assert server_time({"Date": date}) == instant


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0.5", 0.5),
        ("-5", 0),
        ("Mon, 23 Nov 2026 20:46:35 GMT", 30),
        ("Mon, 23 Nov 2026 20:45:35 GMT", 0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Both forms are read; a date counts from the server's own `Date`."""
    assert retry_after_s({"Retry-After": value, "Date": DATE}) == seconds


def test_retry_after_with_a_date_says_nothing_without_the_servers_time() -> None:
    """The local clock is not asked what time it is for the server."""
    assert retry_after_s({"Retry-After": DATE}) is None
    assert retry_after_s({}) is None


def test_proxy_is_taken_from_the_usual_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of the URL's scheme counts; the proxy needs no scheme of its own."""
    assert proxy_for(API) is None
    monkeypatch.setenv("ALL_PROXY", "http://all.example.com:3128")
    assert proxy_for(API) == "http://all.example.com:3128"
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")
    assert proxy_for(API) == "http://proxy.example.com:3128"
    assert proxy_for("http://api.example.com") == "http://all.example.com:3128"


@pytest.mark.parametrize(
    "no_proxy", ["*", "api.example.com", ".example.com", "example.com", "x, *.example.com:443 ,y"]
)
def test_no_proxy_exempts_a_host_and_a_domain(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    """Hosts and domains in NO_PROXY are reached directly."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for("https://API.example.com/v1") is None


@pytest.mark.parametrize("no_proxy", ["", ",", "ample.com", "api.example.co", "x.api.example.com"])
def test_no_proxy_exempts_nothing_else(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    """A name that merely ends alike is not exempt."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(API) == "http://proxy.example.com:3128"


@pytest.mark.parametrize("host", ["127.0.0.1:8088", "localhost:8088", "[::1]:8088"])
def test_loopback_is_never_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """What listens on this machine is spoken to directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    assert proxy_for(f"http://{host}/v1") is None


@pytest.mark.parametrize("proxy", ["socks5://hush@proxy:1", "http://:hush@", "http://hush:x"])
def test_proxy_that_cannot_be_used_is_an_error_that_does_not_quote_it(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """A proxy's URL may hold a password, so it is not in the message."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        proxy_for(API)
    assert "hush" not in str(caught.value)
