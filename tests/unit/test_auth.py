"""Credentials -> an access token: renewed in time, once for all, and never shown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from streamer.config import FlatfileSettings
from streamer.errors import (
    CredentialsRefusedError,
    FlatfileAnswerError,
    FlatfileError,
    FlatfileUnavailableError,
    SettingsError,
)
from streamer.flatfile.auth import (
    LIFETIME_S,
    RENEWAL_PAUSE_S,
    AccessToken,
    AuthAnswer,
    Authenticator,
    Credentials,
    KeyPair,
    PersonalToken,
    bearer,
    credentials_from,
    read_answer,
    refusal,
)

SERVER_AT = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
DAY_S = 24 * 3600.0


class Flatfile:
    """Exchanges key pairs, on a clock that the test moves."""

    def __init__(self, lifetime_s: float = DAY_S) -> None:
        self.now = 50_000.0
        self.lifetime_s = lifetime_s
        self.credentials: Credentials = KeyPair("client", SecretStr("hush"))
        self.pairs: list[KeyPair] = []
        self.error: FlatfileError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.auth = Authenticator(
            credentials=lambda: self.credentials, exchange=self.exchange, now=lambda: self.now
        )

    async def exchange(self, pair: KeyPair) -> AuthAnswer:
        """Answer with a new token, once the gate is open."""
        self.pairs.append(pair)
        number = len(self.pairs)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return AuthAnswer(SecretStr(f"token-{number}"), self.lifetime_s)


def unavailable() -> FlatfileUnavailableError:
    """Return the error of a Flatfile that is away."""
    return FlatfileUnavailableError(where="POST /auth", what="status 503", next_step="Wait.")


def value(token: AccessToken) -> str:
    """Return the text of a token."""
    return token.secret.get_secret_value()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_token_is_kept_until_shortly_before_it_expires() -> None:
    """One exchange serves until ten minutes are left of a day."""
    flatfile = Flatfile()
    first = await flatfile.auth.token()
    flatfile.now += DAY_S - 601
    assert await flatfile.auth.token() is first
    flatfile.now += 2
    assert value(await flatfile.auth.token()) == "token-2"


async def test_short_lived_token_is_not_renewed_all_the_time() -> None:
    """A token that lives 100 s is good for 95 of them."""
    flatfile = Flatfile(lifetime_s=100)
    first = await flatfile.auth.token()
    flatfile.now += 94
    assert await flatfile.auth.token() is first
    flatfile.now += 2
    assert await flatfile.auth.token() is not first


async def test_many_waiters_share_one_renewal() -> None:
    """However many requests wait for a token, one key pair is sent."""
    flatfile = Flatfile()
    flatfile.gate.clear()
    waiters = [asyncio.create_task(flatfile.auth.token()) for _ in range(50)]
    await settle()
    flatfile.gate.set()
    tokens = await asyncio.gather(*waiters)
    assert len(flatfile.pairs) == 1
    assert all(token is tokens[0] for token in tokens)


async def test_many_requests_that_met_one_401_renew_once() -> None:
    """Who comes with a token that somebody has replaced already gets the new one."""
    flatfile = Flatfile()
    old = await flatfile.auth.token()
    renewed = await asyncio.gather(*(flatfile.auth.renewed(old) for _ in range(50)))
    late = await flatfile.auth.renewed(old)
    assert len(flatfile.pairs) == 2
    assert all(token is late for token in renewed)


async def test_failed_renewal_fails_every_waiter_with_an_error_of_its_own() -> None:
    """Each waiter can raise its error without adding to another one's traceback."""
    flatfile = Flatfile()
    flatfile.gate.clear()
    flatfile.error = refusal(what="the key pair")
    waiters = [asyncio.create_task(flatfile.auth.token()) for _ in range(3)]
    await settle()
    flatfile.gate.set()
    errors = await asyncio.gather(*waiters, return_exceptions=True)
    assert all(isinstance(error, CredentialsRefusedError) for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert len(flatfile.pairs) == 1


async def test_cancelled_waiter_leaves_the_renewal_to_the_others() -> None:
    """Whoever is cancelled while it renews, or waits, harms nobody else."""
    flatfile = Flatfile()
    flatfile.gate.clear()
    renewing = asyncio.create_task(flatfile.auth.token())
    await settle()
    gone, stays = (asyncio.create_task(flatfile.auth.token()) for _ in range(2))
    await settle()
    gone.cancel()
    renewing.cancel()
    await settle()
    flatfile.gate.set()
    assert value(await stays) == "token-2"
    assert gone.cancelled()
    assert renewing.cancelled()


async def test_renewal_that_fails_early_uses_the_token_to_its_end() -> None:
    """While a token is still good, a Flatfile that cannot renew it is no failure."""
    flatfile = Flatfile()
    await flatfile.auth.token()
    flatfile.error = unavailable()
    flatfile.now += DAY_S - 100
    assert value(await flatfile.auth.token()) == "token-1"
    assert value(await flatfile.auth.token()) == "token-1"
    assert len(flatfile.pairs) == 2
    flatfile.now += RENEWAL_PAUSE_S + 1
    assert value(await flatfile.auth.token()) == "token-1"
    assert len(flatfile.pairs) == 3
    flatfile.now += 100
    with pytest.raises(FlatfileUnavailableError):
        await flatfile.auth.token()


async def test_credentials_are_read_again_at_each_renewal() -> None:
    """A secret that was replaced in its file is used from the next renewal on."""
    flatfile = Flatfile()
    old = await flatfile.auth.token()
    flatfile.credentials = KeyPair("client", SecretStr("rotated"))
    await flatfile.auth.renewed(old)
    assert flatfile.pairs[-1].secret.get_secret_value() == "rotated"


async def test_personal_token_is_presented_as_it_is() -> None:
    """A `pat_` token is not exchanged and never renewed."""
    flatfile = Flatfile()
    flatfile.credentials = PersonalToken(SecretStr("pat_1"))
    first = await flatfile.auth.token()
    flatfile.now += 1e9
    assert await flatfile.auth.token() is first
    assert value(first) == "pat_1"
    assert flatfile.pairs == []


async def test_refused_personal_token_is_replaced_if_there_is_a_new_one() -> None:
    """A 401 to a personal token is final only if the token is still the same when read again."""
    flatfile = Flatfile()
    flatfile.credentials = PersonalToken(SecretStr("pat_1"))
    first = await flatfile.auth.token()
    with pytest.raises(CredentialsRefusedError):
        await flatfile.auth.renewed(first)
    old = await flatfile.auth.token()
    flatfile.credentials = PersonalToken(SecretStr("pat_2"))
    assert value(await flatfile.auth.renewed(old)) == "pat_2"


async def test_other_credentials_are_used_at_once() -> None:
    """A secret that was rotated is exchanged before the next request, not only after a 401."""
    flatfile = Flatfile()
    await flatfile.auth.token()
    flatfile.credentials = KeyPair("client", SecretStr("rotated"))
    assert value(await flatfile.auth.token()) == "token-2"
    flatfile.credentials = PersonalToken(SecretStr("pat_1"))
    assert value(await flatfile.auth.token()) == "pat_1"


async def test_other_credentials_are_used_although_their_first_use_was_cancelled() -> None:
    """Whoever is cancelled while a new secret is exchanged does not hide it from the others."""
    flatfile = Flatfile()
    await flatfile.auth.token()
    flatfile.credentials = KeyPair("client", SecretStr("rotated"))
    flatfile.gate.clear()
    renewing = asyncio.create_task(flatfile.auth.token())
    await settle()
    renewing.cancel()
    await settle()
    flatfile.gate.set()
    assert value(await flatfile.auth.token()) == "token-3"


async def test_wrong_secret_costs_nothing_while_the_token_of_the_right_one_is_good() -> None:
    """The token is used to its end; what was refused is tried again then, others at once."""
    flatfile = Flatfile()
    await flatfile.auth.token()
    flatfile.credentials = KeyPair("client", SecretStr("wrong"))
    flatfile.error = refusal(what="the key pair")
    assert [value(await flatfile.auth.token()) for _ in range(3)] == ["token-1"] * 3
    assert len(flatfile.pairs) == 2
    flatfile.credentials = KeyPair("client", SecretStr("right"))
    flatfile.error = None
    assert value(await flatfile.auth.token()) == "token-3"


async def test_refused_credentials_are_not_sent_again_and_again() -> None:
    """However many ask, what was refused is sent once in half a minute, and others at once."""
    flatfile = Flatfile()
    flatfile.error = refusal(what="the key pair")
    for _ in range(5):
        with pytest.raises(CredentialsRefusedError):
            await flatfile.auth.token()
    assert len(flatfile.pairs) == 1
    flatfile.now += RENEWAL_PAUSE_S
    with pytest.raises(CredentialsRefusedError):
        await flatfile.auth.token()
    assert len(flatfile.pairs) == 2
    flatfile.credentials = KeyPair("client", SecretStr("right"))
    flatfile.error = None
    assert value(await flatfile.auth.token()) == "token-3"


@pytest.mark.parametrize(
    "body",
    [
        b'{"accessToken":"t","expires":"2026-11-23T21:00:00Z","expiresIn":"99"}',
        b'{"data":{"accessToken":"t","expires":"2026-11-23T22:00:00+01:00"}}',
        b'{"data":{"accessToken":"t","expires":"2026-11-23T21:00:00"},"x":null}',
    ],
)
def test_answer_is_read_at_the_top_level_and_in_data(body: bytes) -> None:
    """The token's life is measured against the server's own clock."""
    answer = read_answer(body, SERVER_AT)
    assert answer.secret.get_secret_value() == "t"
    assert answer.lifetime_s == 3600


@pytest.mark.parametrize("expires", ['"soon"', '"2026-11-23T19:00:00Z"', "null", "17", '""'])
def test_life_of_a_day_is_assumed_where_the_answer_makes_no_sense(expires: str) -> None:
    """A token that is dead on arrival, or lives for ever, is taken to live a day."""
    answer = read_answer(b'{"accessToken":"t","expires":%b}' % expires.encode(), SERVER_AT)
    assert answer.lifetime_s == LIFETIME_S


def test_life_of_a_day_is_assumed_without_the_servers_time() -> None:
    """Where the answer has no `Date`, the local clock is not asked instead."""
    expires = (datetime.now(UTC) + timedelta(hours=1)).isoformat().encode()
    assert read_answer(b'{"accessToken":"t","expires":"%b"}' % expires, None).lifetime_s == DAY_S


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"data":null}', b'{"accessToken":7}', b'{"data":{"accessToken":""}}']
)
def test_answer_without_a_token_is_an_error(body: bytes) -> None:
    """An answer without an access token is not taken for one."""
    with pytest.raises(FlatfileAnswerError):
        read_answer(body, SERVER_AT)


@pytest.mark.parametrize("text", ["hush\nhush", "hush hush", "hüsh", "", "hush\x00"])
def test_token_that_no_header_can_hold_is_refused_without_quoting_it(text: str) -> None:
    """A line break in a secret's file is a clear error, without the secret."""
    with pytest.raises(CredentialsRefusedError) as caught:
        bearer(AccessToken(SecretStr(text)))
    assert "sh" not in str(caught.value).replace("refused", "")


def test_no_secret_is_shown_by_repr() -> None:
    """Printing any of the values that hold a secret does not print the secret."""
    values = [
        KeyPair("client", SecretStr("hush")),
        PersonalToken(SecretStr("hush")),
        AccessToken(SecretStr("hush")),
        AuthAnswer(SecretStr("hush"), 1),
    ]
    assert "hush" not in repr(values)


def test_credentials_come_from_the_settings_or_are_missing() -> None:
    """A key pair or a personal token is taken; without either it is said what to set."""
    pair = FlatfileSettings(client_id="client", secret=SecretStr("hush"))
    assert credentials_from(pair) == KeyPair("client", SecretStr("hush"))
    token = FlatfileSettings(token=SecretStr("pat_1"))
    assert credentials_from(token) == PersonalToken(SecretStr("pat_1"))
    with pytest.raises(SettingsError, match="STREAMER_FLATFILE__CLIENT_ID"):
        credentials_from(FlatfileSettings())
