"""`streamer check`: a line for each look, what to do, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.kafka_parts import make_topic
from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import Result, kafka_variables, streamer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamer.broker.local import LocalBroker

PLANTED = "PLANTED-0123456789"


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxProcess]:
    """An account with three environments."""
    async with SandboxProcess(events=0, environments=3) as account:
        yield account


@pytest.fixture
def settings(broker: LocalBroker, prefix: str, sandbox: SandboxProcess) -> dict[str, str]:
    """Variables with which everything is well."""
    return {
        **sandbox.environ,
        **kafka_variables(broker, prefix),
        "STREAMER_KAFKA__PARTITIONS": "2",
    }


def _verdicts(result: Result) -> dict[str, str]:
    """The word of each subject; of several lines about one, the last that is not ok."""
    verdicts: dict[str, str] = {}
    for line in result.lines:
        word, subject, *_ = line.split()
        if verdicts.get(subject, "ok") == "ok":
            verdicts[subject] = word
    return verdicts


async def test_a_deployment_where_all_is_well(settings: dict[str, str]) -> None:
    """Every look is ok, before the topics are there and after; exit code 0."""
    before = await streamer("check", settings=settings)
    assert (before.code, before.err) == (0, "")
    subjects = {"settings", "credentials", "environments", "broker", "topics", "permissions"}
    assert _verdicts(before) == dict.fromkeys(subjects, "ok")
    assert "may create the topics" in before.out
    await streamer("topics", "create", settings=settings)
    after = await streamer("check", settings=settings)
    assert (after.code, after.err) == (0, "")
    assert _verdicts(after) == dict.fromkeys(subjects, "ok")
    assert "may read and write the topics" in after.out
    assert "3, 1 of them production: production, staging, development" in after.out


async def test_all_that_is_wrong_is_said_at_once(
    settings: dict[str, str], broker: LocalBroker, prefix: str
) -> None:
    """Refused credentials do not hide a wrong topic, and no value is shown."""
    await make_topic(broker.bootstrap_servers, f"{prefix}.audit", 2, cleanup_policy="compact")
    result = await streamer("check", settings={**settings, "STREAMER_FLATFILE__SECRET": PLANTED})
    assert result.code == 5
    verdicts = _verdicts(result)
    assert verdicts["credentials"] == "FAILED"
    assert verdicts["environments"] == "-"
    assert verdicts["broker"] == "ok"
    assert verdicts["topics"] == "FAILED"
    assert "Check STREAMER_FLATFILE__CLIENT_ID" in result.out
    assert "must be exactly delete" in result.out
    assert PLANTED not in result.everything
    assert "Traceback" not in result.everything


async def test_a_token_that_is_refused_fails_the_credentials(settings: dict[str, str]) -> None:
    """A personal access token is tried by using it."""
    del settings["STREAMER_FLATFILE__CLIENT_ID"], settings["STREAMER_FLATFILE__SECRET"]
    settings["STREAMER_FLATFILE__TOKEN"] = f"pat_{PLANTED}"
    result = await streamer("check", settings=settings)
    assert result.code == 5
    assert _verdicts(result)["credentials"] == "FAILED"
    assert PLANTED not in result.everything


async def test_an_environment_that_is_not_there_is_named(settings: dict[str, str]) -> None:
    """A wanted environment that the account does not show fails the check."""
    settings["STREAMER_CAPTURE__ENVIRONMENTS"] = "us_env_nowhere"
    result = await streamer("check", settings=settings)
    assert result.code == 5
    assert _verdicts(result)["environments"] == "FAILED"
    assert "us_env_nowhere" in result.out


async def test_wrong_settings_end_the_check_with_two() -> None:
    """Settings that cannot be read are the only line, and exit 2."""
    result = await streamer("check", settings={"STREAMER_KAFKA__GRUOP": PLANTED})
    assert result.code == 2
    assert len(result.lines) == 1
    assert result.out.startswith("FAILED   settings")
    assert PLANTED not in result.everything


async def test_nothing_set_says_what_to_set() -> None:
    """Without any setting the looks name the variables that are needed; exit 2."""
    result = await streamer("check")
    assert result.code == 2
    assert "STREAMER_FLATFILE__CLIENT_ID" in result.out
    assert "STREAMER_KAFKA__BOOTSTRAP_SERVERS" in result.out


@pytest.mark.parametrize(("path", "personal"), [("/v2", False), ("", False), ("/v2", True)])
async def test_an_address_without_an_api_is_not_blamed_on_the_credentials(
    path: str, settings: dict[str, str], *, personal: bool
) -> None:
    """404 where every account has something says that the URL is wrong, for both kinds of token."""
    settings["STREAMER_FLATFILE__API_URL"] = settings["STREAMER_FLATFILE__API_URL"][:-3] + path
    if personal:
        del settings["STREAMER_FLATFILE__CLIENT_ID"], settings["STREAMER_FLATFILE__SECRET"]
        settings["STREAMER_FLATFILE__TOKEN"] = f"pat_{PLANTED}"
    result = await streamer("check", settings=settings)
    assert result.code == 5
    assert "status 404, so there is no Flatfile API at this address. Check STREAMER_" in result.out
    assert "is refused" not in result.out


async def test_an_api_that_is_away_does_not_hide_the_broker(settings: dict[str, str]) -> None:
    """With nobody behind the API's address the check goes on, bounded in time."""
    settings["STREAMER_FLATFILE__API_URL"] = "http://127.0.0.1:1/v1"
    result = await streamer("check", settings=settings)
    assert result.code == 5
    assert _verdicts(result)["credentials"] == "FAILED"
    assert _verdicts(result)["broker"] == "ok"
