"""The only place that speaks HTTP to Flatfile: sends, waits its turn, repeats, sets limits.

Redirects are not followed, since a token must not reach another origin; cookies and `.netrc` are
not used.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import stamina
import structlog

from streamer.errors import AnswerTooLargeError, FlatfileAnswerError, FlatfileUnavailableError
from streamer.flatfile.attempts import (
    FailedAttemptError,
    FinalError,
    UnauthorizedError,
    network_error,
    status_error,
    too_large_error,
)
from streamer.flatfile.auth import bearer, refusal
from streamer.flatfile.bodies import BodyTooLargeError, BodyUnreadableError, read_body
from streamer.flatfile.body_turns import BodyTurns
from streamer.flatfile.response_headers import server_time

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from datetime import datetime

    from streamer.flatfile.attempts import Outcome
    from streamer.flatfile.auth import Authenticator
    from streamer.flatfile.budget import Priority, RateBudget

log = structlog.get_logger()

LOGGED_AFTER_S: Final = 60.0
"""Retries of one operation for one reason are logged again after this time."""

TOKENS: Final = 3
"""How many tokens one request may wear out before the credentials count as refused."""

DRAIN_S: Final = 0.5
DRAIN_BYTES: Final = 64 * 1024
"""What the body of an error may take; beyond that its connection is given up."""

NEXT_STEP_WHEN_UNAVAILABLE: Final = (
    "It is tried again; look at the network, and at the status of Flatfile, if it goes on."
)

OnRequest = Callable[[str, str, float], None]
"""Told after each attempt: operation, outcome, seconds."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one request may take, and how often it is repeated.

    Attributes:
        connect_s: To open a connection, with TLS.
        silence_s: Between two bytes, so also until the headers.
        body_s: To read a body; its wait for another large one does not count.
        total_s: For one attempt, likewise.
        attempts: At most.
        wait_s: Before the first repetition; doubles with each, with jitter on top.
        longest_wait_s: Between two attempts, also if Flatfile asks for more.
    """

    connect_s: float = 10.0
    silence_s: float = 20.0
    body_s: float = 60.0
    total_s: float = 90.0
    attempts: int = 5
    wait_s: float = 0.5
    longest_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A body with status 2xx, and the answer's `Date`.

    Attributes:
        is_whole: Otherwise it is the beginning of a body that is too large, as the call wanted it.
    """

    body: bytes
    server_at: datetime | None
    is_whole: bool = True


Reader = Callable[[Answer], Awaitable[T]]
"""Makes something of an answer; FlatfileAnswerError means that it is worth asking again, unless it
is AnswerTooLargeError."""

Authorization = Callable[[], Awaitable["Mapping[str, str]"]]
"""Returns the headers that authorize an attempt, once it is its turn."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked.

    Attributes:
        operation: Its name in metrics and logs.
        where: The same for people, such as `GET /users/{id}`: without ids.
        path: Below the API's URL.
        json: The body of a POST; a GET has none.
        beginning_bytes: How much is wanted of an answer that is too large; 0: it is an error.
    """

    operation: str
    where: str
    path: str
    query: Mapping[str, str]
    priority: Priority
    json: Mapping[str, str] | None = field(default=None, repr=False)
    beginning_bytes: int = 0


class Transport:
    """One HTTP session, from `open` to `close`."""

    def __init__(
        self,
        *,
        api_url: str,
        proxy: str | None,
        tls: ssl.SSLContext | None,
        max_body_bytes: int,
        budget: RateBudget,
        patience: Patience,
        on_request: OnRequest,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._proxy = proxy
        self._tls = tls
        self._max_body_bytes = max_body_bytes
        self._budget = budget
        self._patience = patience
        self._on_request = on_request
        self._session: aiohttp.ClientSession | None = None
        self._body_turns = BodyTurns()
        self._logged_at: dict[tuple[str, str], float] = {}

    async def open(self) -> None:
        """Open the session; no connection is made before the first request."""
        # Its own hooks would log with other keys, and count in the global registry.
        stamina.instrumentation.set_on_retry_hooks(())
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls or True, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
                "User-Agent": "streamer",
                "X-Disable-Hooks": "true",
            },
            timeout=aiohttp.ClientTimeout(
                total=None,  # Ours, which can stand still: see `_exchange`.
                sock_connect=self._patience.connect_s,
                sock_read=self._patience.silence_s,
            ),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, call: Call, auth: Authenticator, read: Reader[T]) -> T:
        """Send a GET with a token until it is answered, and make something of the answer.

        Raises:
            CredentialsRefusedError: 401 to a token that was obtained for this very request.
            FlatfileForbiddenError: 403.
            FlatfileNotFoundError: 404.
            FlatfileAnswerError: An answer that no retry will mend.
            FlatfileUnavailableError: All attempts failed.
        """
        token = await auth.token()

        async def authorization() -> Mapping[str, str]:
            # Anew for each attempt: it may have waited for longer than a token lives.
            nonlocal token
            token = await auth.token()
            return {"Authorization": bearer(token)}

        for _ in range(TOKENS):
            try:
                return await self._send(call, read, authorization)
            except UnauthorizedError:
                await auth.renewed(token)
        raise refusal(what="the access token")

    async def authenticate(self, call: Call, read: Reader[T]) -> T:
        """Send a call without a token, as `get` does; 401 means that the key pair is refused."""
        try:
            return await self._send(call, read, _no_authorization)
        except UnauthorizedError:
            raise refusal(what="the key pair") from None

    async def _send(
        self,
        call: Call,
        read: Reader[T],
        authorization: Authorization,
    ) -> T:
        try:
            async for attempt in stamina.retry_context(
                on=self._wait_before_next,
                attempts=self._patience.attempts,
                timeout=None,
                wait_initial=self._patience.wait_s,
                wait_max=self._patience.longest_wait_s,
                wait_jitter=self._patience.wait_s,
            ):
                with attempt:
                    return await self._attempt(call, attempt.num, read, authorization)
        except FailedAttemptError as error:
            raise FlatfileUnavailableError(
                where=call.where, what=error.what, next_step=NEXT_STEP_WHEN_UNAVAILABLE
            ) from None
        raise AssertionError  # The last attempt's error comes out of the loop.

    def _wait_before_next(self, error: Exception) -> bool | float:
        """Return seconds to wait, or whether to repeat at all. A hook of stamina's."""
        if not isinstance(error, FailedAttemptError):
            return False
        if error.wait_s is None:
            return True
        return min(max(error.wait_s, self._patience.wait_s), self._patience.longest_wait_s)

    async def _attempt(
        self,
        call: Call,
        number: int,
        read: Reader[T],
        authorization: Authorization,
    ) -> T:
        """Send the request once, when it is its turn, and count how it ended."""
        turn = await self._budget.acquire(call.priority)
        headers = await authorization()
        begun_at = time.monotonic()
        outcome: Outcome = "cancelled"
        try:
            answer = await self._exchange(call, headers)
            try:
                result = await read(answer)
            except AnswerTooLargeError as error:
                raise FinalError(outcome="too_large", error=error) from None
            except FlatfileAnswerError as error:
                raise FailedAttemptError(outcome="unreadable", what=error.what) from None
            outcome = "ok"
            return result
        except FinalError as final:
            outcome = final.outcome
            if outcome == "too_large":  # Mends itself where fewer rows are asked for.
                self._log_failure(call, outcome, number)
            raise final.error from None
        except FailedAttemptError as error:
            outcome = error.outcome
            if outcome == "throttled":
                self._budget.throttled(turn, error.wait_s)
            self._log_failure(call, outcome, number, retry_after_s=error.wait_s)
            raise
        finally:
            self._on_request(call.operation, outcome, time.monotonic() - begun_at)

    async def _exchange(self, call: Call, headers: Mapping[str, str]) -> Answer:
        if self._session is None:
            raise RuntimeError(call.where)  # open() comes first.
        try:
            async with (
                asyncio.timeout(self._patience.total_s) as total,
                self._session.request(
                    "GET" if call.json is None else "POST",
                    self._api_url + call.path,
                    params=call.query,
                    headers=headers,
                    json=call.json,
                    allow_redirects=False,
                    proxy=self._proxy,
                ) as response,
            ):
                if response.status // 100 != 2:
                    await _drain(response)
                    raise status_error(
                        call.where,
                        response.status,
                        response.headers,
                        signs_in=call.json is not None,
                    )
                return await self._receive(call, response, total)
        except (BodyUnreadableError, TimeoutError, aiohttp.ClientError, OSError) as error:
            raise network_error(call.where, error) from None

    async def _receive(
        self, call: Call, response: aiohttp.ClientResponse, total: asyncio.Timeout
    ) -> Answer:
        server_at = server_time(response.headers)
        try:
            async with asyncio.timeout(self._patience.body_s) as reading:
                body = await read_body(
                    response,
                    limit_bytes=self._max_body_bytes,
                    beginning_bytes=call.beginning_bytes,
                    turn=self._body_turns.hold(call.priority, reading, total),
                )
        except BodyTooLargeError as error:
            if not error.beginning:
                raise too_large_error(call.where, self._max_body_bytes) from None
            return Answer(error.beginning, server_at, is_whole=False)
        if "html" in response.headers.get("Content-Type", "").lower():
            raise FailedAttemptError(outcome="unreadable", what="a web page instead of data")
        return Answer(body, server_at)

    def _log_failure(
        self, call: Call, outcome: Outcome, number: int, *, retry_after_s: float | None = None
    ) -> None:
        now, kind = time.monotonic(), (call.operation, outcome)
        if now - self._logged_at.get(kind, float("-inf")) < LOGGED_AFTER_S:
            return
        self._logged_at[kind] = now
        log.warning(
            "flatfile.request_failed",
            operation=call.operation,
            reason=outcome,
            attempt=number,
            attempts=self._patience.attempts,
            retry_after_s=retry_after_s,
        )


async def _no_authorization() -> Mapping[str, str]:
    return {}


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short body to its end, so that its connection can be used again."""
    with contextlib.suppress(BodyTooLargeError, BodyUnreadableError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(DRAIN_S):
            await read_body(response, limit_bytes=DRAIN_BYTES)
