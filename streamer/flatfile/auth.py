"""Credentials -> an access token that is good for now.

A key pair is exchanged for a token that lives for a day; a personal access token is presented as it
is. Renewed before it expires, when the credentials are others than before, and when Flatfile
answers 401, once for all who wait: whether somebody has renewed it already shows in the token's
identity (`is`, not `==`). Sends no request itself: it is handed the function that does. The local
wall clock is not consulted.

While a token is still good, nothing that goes wrong with its successor is a failure: a secret that
was rotated wrongly costs no event until the old token ends.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
import structlog
from pydantic import SecretStr

from streamer.errors import (
    CredentialsRefusedError,
    FlatfileAnswerError,
    FlatfileError,
    SettingsError,
)

if TYPE_CHECKING:
    from streamer.config import FlatfileSettings

log = structlog.get_logger()

LIFETIME_S: Final = 24 * 3600.0
"""How long a token lives if its answer does not tell. Source: Flatfile's authentication guide."""

RENEWED_BEFORE_S: Final = 600.0
"""A token is renewed when this is left of its life, or a twentieth of it, whichever is less."""

RENEWAL_PAUSE_S: Final = 30.0
"""After a renewal failed, a token that is still good is used for this long before the next try; and
so long what was refused is not sent again, lest an account be locked. Others are tried at once."""

_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]{1,16384}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What is exchanged for an access token."""

    client_id: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class PersonalToken:
    """A token from the dashboard (`pat_…`), presented as it is."""

    token: SecretStr


Credentials: TypeAlias = KeyPair | PersonalToken


@dataclass(frozen=True, slots=True, eq=False)
class AccessToken:
    """A bearer token and how long it is good for; compared by identity.

    Attributes:
        secret: The token.
        renew_at: On the monotonic clock: from then on it should be renewed.
        expires_at: On the monotonic clock: from then on it is of no use.
    """

    secret: SecretStr
    renew_at: float = float("inf")
    expires_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class AuthAnswer:
    """What `POST /auth` said.

    Attributes:
        secret: The access token.
        lifetime_s: How long it lives, on the server's clock.
    """

    secret: SecretStr
    lifetime_s: float


class _AuthBody(msgspec.Struct, rename="camel"):
    access_token: str | None = None
    expires: object = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


Exchange = Callable[[KeyPair], Awaitable[AuthAnswer]]
"""Sends a key pair to Flatfile. Raises CredentialsRefusedError if it is refused."""


def credentials_from(settings: FlatfileSettings) -> Credentials:
    """Return the credentials that the settings hold.

    Raises:
        SettingsError: There are none, or they cannot be sent in a header.
    """
    if settings.token is not None:
        return PersonalToken(settings.token)
    if settings.client_id is not None and settings.secret is not None:
        return KeyPair(settings.client_id, settings.secret)
    raise SettingsError(
        where="flatfile",
        what="no credentials",
        next_step="Set STREAMER_FLATFILE__CLIENT_ID and STREAMER_FLATFILE__SECRET, "
        "or STREAMER_FLATFILE__TOKEN.",
    )


def bearer(token: AccessToken) -> str:
    """Return the value of the `Authorization` header.

    Raises:
        CredentialsRefusedError: The token holds what no header can; the error does not quote it.
    """
    header = f"Bearer {token.secret.get_secret_value()}"
    if not _HEADER_SAFE.fullmatch(header, len("Bearer ")):
        raise CredentialsRefusedError(
            where="flatfile",
            what="the token has white space or control characters in it",
            next_step="Look for a line break in it.",
        )
    return header


def auth_request(pair: KeyPair) -> dict[str, str]:
    """Return the body of `POST /auth`."""
    secret = pair.secret.get_secret_value()
    return {"type": "apiCredentials", "clientId": pair.client_id, "secret": secret}


def read_answer(body: bytes, server_at: datetime | None) -> AuthAnswer:
    """Read the answer of `POST /auth`, with its members at the top level or in `data`.

    Raises:
        FlatfileAnswerError: It holds no access token.
    """
    try:
        answer = msgspec.json.decode(body, type=_AuthBody)
        if answer.access_token is None:
            answer = msgspec.json.decode(answer.data, type=_AuthBody)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer = _AuthBody()
    if not answer.access_token:
        raise FlatfileAnswerError(
            where="POST /auth",
            what="the answer holds no access token",
            next_step="Check STREAMER_FLATFILE__API_URL.",
        )
    return AuthAnswer(SecretStr(answer.access_token), _lifetime_s(answer.expires, server_at))


def _lifetime_s(expires: object, server_at: datetime | None) -> float:
    """Return how long a token lives; a day where that cannot be told, and a 401 corrects it."""
    if server_at is None or not isinstance(expires, str):
        return LIFETIME_S
    try:
        expires_at = datetime.fromisoformat(expires)
    except ValueError:
        return LIFETIME_S
    if expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=UTC)
    lifetime = expires_at - server_at
    return lifetime.total_seconds() if lifetime > timedelta(0) else LIFETIME_S


@dataclass(slots=True)
class Authenticator:
    """The account's access token, renewed as needed.

    Attributes:
        credentials: Reads them anew, because a secret's file may have changed. Asked for every
            token; must not fail for a moment without a file.
        exchange: Sends a key pair to Flatfile.
        now: Monotonic seconds.
    """

    credentials: Callable[[], Credentials]
    exchange: Exchange
    now: Callable[[], float] = time.monotonic
    _current: AccessToken | None = field(default=None, init=False)
    _renewal: asyncio.Future[FlatfileError | None] | None = field(default=None, init=False)
    _tried: Credentials | None = field(default=None, init=False)
    _refused_until: float = field(default=float("-inf"), init=False)

    async def token(self) -> AccessToken:
        """Return a token that is good for now.

        Raises:
            CredentialsRefusedError: Flatfile refuses the key pair.
            FlatfileUnavailableError: It could not be asked; the last token has expired.
        """
        while True:
            current = self._current
            credentials = self.credentials()
            fresh = current is not None and self.now() < current.renew_at
            if current is not None and fresh and credentials == self._tried:
                return current
            if self._renewal is None:
                return await self._renew(current, credentials)
            # Shielded: one waiter that is cancelled must not cancel the others.
            if (error := await asyncio.shield(self._renewal)) is not None:
                raise type(error)(
                    where=error.where, what=error.what, next_step=error.next_step
                ) from error

    async def renewed(self, refused: AccessToken) -> AccessToken:
        """Return another token than the one to which Flatfile answered 401.

        Raises:
            CredentialsRefusedError: There is none: the credentials themselves are refused.
            FlatfileUnavailableError: Flatfile could not be asked for one.
        """
        if self._current is refused:
            self._current = None
        token = await self.token()
        if token.secret == refused.secret:
            raise refusal(what="the token")
        return token

    async def _renew(self, current: AccessToken | None, credentials: Credentials) -> AccessToken:
        self._renewal = asyncio.get_running_loop().create_future()
        failure: FlatfileError | None = None
        try:
            self._current = await self._obtain(credentials)
            self._tried = credentials
        except FlatfileError as error:
            self._tried = credentials
            if current is None or self.now() >= current.expires_at:
                failure = error
                raise
            log.warning("flatfile.renewal_failed", reason=error.what)
            renew_at = min(current.expires_at, self.now() + RENEWAL_PAUSE_S)
            self._current = AccessToken(current.secret, renew_at, current.expires_at)
        finally:
            # Also when this waiter is cancelled: the next one takes over.
            self._renewal.set_result(failure)
            self._renewal = None
        return self._current

    async def _obtain(self, credentials: Credentials) -> AccessToken:
        if credentials == self._tried and self.now() < self._refused_until:
            raise refusal(what="the key pair")
        if isinstance(credentials, PersonalToken):
            return AccessToken(credentials.token)
        asked_at = self.now()
        try:
            answer = await self.exchange(credentials)
        except CredentialsRefusedError:
            self._refused_until = self.now() + RENEWAL_PAUSE_S
            log.error("flatfile.credentials_refused", again_in_s=RENEWAL_PAUSE_S)  # noqa: TRY400
            raise
        left_s = min(RENEWED_BEFORE_S, answer.lifetime_s / 20)
        expires_at = asked_at + answer.lifetime_s
        log.info("flatfile.token_obtained", lifetime_s=round(answer.lifetime_s))
        return AccessToken(answer.secret, expires_at - left_s, expires_at)


def refusal(*, what: str) -> CredentialsRefusedError:
    """Return the error that tells that Flatfile refuses the credentials."""
    return CredentialsRefusedError(
        where="flatfile",
        what=f"{what} is refused",
        next_step="Check STREAMER_FLATFILE__CLIENT_ID and STREAMER_FLATFILE__SECRET, or "
        "STREAMER_FLATFILE__TOKEN, and that STREAMER_FLATFILE__API_URL is of the same region.",
    )
