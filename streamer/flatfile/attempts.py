"""How one attempt of a request ended: a status or a network error -> what to do, in our words.

No message of the HTTP client or of the server is passed on: it may quote a URL or a header.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import aiohttp

from streamer.errors import (
    AnswerTooLargeError,
    FlatfileAnswerError,
    FlatfileForbiddenError,
    FlatfileNotFoundError,
    FlatfileUnavailableError,
)
from streamer.flatfile.bodies import BodyUnreadableError
from streamer.flatfile.response_headers import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

Outcome: TypeAlias = Literal[
    "ok",
    "refused",
    "forbidden",
    "not_found",
    "rejected",
    "redirected",
    "too_large",
    "throttled",
    "server_error",
    "unreadable",
    "timeout",
    "disconnected",
    "untrusted",
    "cancelled",
]
"""How one attempt ended: a metric label."""


class FailedAttemptError(Exception):
    """An attempt that is worth repeating; `wait_s` is what the server asked for."""

    def __init__(self, *, outcome: Outcome, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.outcome: Outcome = outcome
        self.what = what
        self.wait_s = wait_s


class FinalError(Exception):
    """An attempt that ends the request with `error`."""

    def __init__(self, *, outcome: Outcome, error: Exception) -> None:
        super().__init__(outcome)
        self.outcome: Outcome = outcome
        self.error = error


class UnauthorizedError(Exception):
    """401: another token may do."""


_CHECK_URL: Final = "Check STREAMER_FLATFILE__API_URL."

_ALWAYS_THERE: Final = frozenset({"POST /auth", "GET /environments"})
"""Asked for first, and there in every account: 404 tells something about the address."""


def status_error(
    where: str, status: int, headers: Mapping[str, str], *, signs_in: bool
) -> Exception:
    """Return what a status other than 2xx means.

    Args:
        where: What was asked.
        status: The answer's status.
        headers: The answer's headers.
        signs_in: The request was to exchange credentials: it has no other content that could be
            wrong.
    """
    said = f"status {status}"
    if status == 429:
        return FailedAttemptError(outcome="throttled", what=said, wait_s=retry_after_s(headers))
    if status == 408 or status >= 500:
        return FailedAttemptError(outcome="server_error", what=said, wait_s=retry_after_s(headers))
    if status == 401 or (signs_in and status in {400, 403, 422}):
        return FinalError(outcome="refused", error=UnauthorizedError())
    return _final_status_error(where, status, said)


def _final_status_error(where: str, status: int, said: str) -> FinalError:
    if status == 403:
        what, step = f"{said}, not for these credentials", "Check what the token may see."
        forbidden = FlatfileForbiddenError(where=where, what=what, next_step=step)
        return FinalError(outcome="forbidden", error=forbidden)
    if status == 404 and where in _ALWAYS_THERE:
        what = f"{said}, so there is no Flatfile API at this address"
        step = f"{_CHECK_URL} It ends with the API's version, such as /api/v1."
        astray = FlatfileAnswerError(where=where, what=what, next_step=step)
        return FinalError(outcome="not_found", error=astray)
    if status == 404:
        what, step = f"{said}, there is no such thing", "It may have been deleted."
        missing = FlatfileNotFoundError(where=where, what=what, next_step=step)
        return FinalError(outcome="not_found", error=missing)
    if status // 100 == 3:
        what = f"{said}, a redirect, and none is followed"
        redirected = FlatfileAnswerError(where=where, what=what, next_step=_CHECK_URL)
        return FinalError(outcome="redirected", error=redirected)
    rejected = FlatfileAnswerError(where=where, what=f"{said}, refused", next_step=_CHECK_URL)
    return FinalError(outcome="rejected", error=rejected)


def network_error(where: str, error: Exception) -> Exception:
    """Return what an error on the way means."""
    if isinstance(error, aiohttp.ClientSSLError):
        # A person has to act, perhaps at the other end: so it counts as unavailable.
        untrusted = FlatfileUnavailableError(
            where=where,
            what="no TLS connection with a certificate that is trusted here",
            next_step="Check STREAMER_FLATFILE__API_URL and what intercepts TLS in between; "
            "SSL_CERT_FILE names further authorities.",
        )
        return FinalError(outcome="untrusted", error=untrusted)
    outcome, what = _in_words(error)
    return FailedAttemptError(outcome=outcome, what=what)


def too_large_error(where: str, limit_bytes: int) -> FinalError:
    """Return what a body beyond the limit means."""
    too_large = AnswerTooLargeError(
        where=where,
        what=f"an answer of more than {limit_bytes:,} bytes",
        next_step="Ask for less at once, or raise STREAMER_FLATFILE__MAX_BODY_BYTES.",
    )
    return FinalError(outcome="too_large", error=too_large)


def _in_words(error: Exception) -> tuple[Outcome, str]:
    match error:
        case BodyUnreadableError() | aiohttp.ClientPayloadError():
            return "unreadable", "the body is cut off or corrupt"
        case TimeoutError():
            return "timeout", "no answer in time"
        case aiohttp.ClientConnectorDNSError():
            return "disconnected", "the host's name is not known"
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return "disconnected", "the proxy does not answer or refuses"
        case aiohttp.ClientConnectorError():
            return "disconnected", "no connection"
        case _:
            return "disconnected", "the connection broke"
