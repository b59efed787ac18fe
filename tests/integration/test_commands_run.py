"""`streamer run` as a command: what it prints, how it ends, and what it exits with."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.sandbox_process import SandboxProcess
from tests.support.streamer_command import finish, kafka_variables, start, streamer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streamer.broker.local import LocalBroker

PLANTED = "PLANTED-0123456789"


@pytest.fixture
async def settings(broker: LocalBroker, prefix: str) -> AsyncIterator[dict[str, str]]:
    """Variables of a deployment that works, against an account with a few events."""
    async with SandboxProcess(events=50, environments=2) as sandbox:
        yield {
            **sandbox.environ,
            **kafka_variables(broker, prefix),
            "STREAMER_KAFKA__PARTITIONS": "2",
            "STREAMER_WEB__PORT": "0",
        }


def _lines(text: str) -> list[dict[str, Any]]:
    """Every line as JSON; one that is not fails the test."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_in_order_and_every_line_is_json(
    settings: dict[str, str], number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C end it with 0; at DEBUG, too, it writes JSON lines and no credential."""
    process = await start("run", settings={**settings, "STREAMER_LOG__LEVEL": "debug"})
    assert process.stderr is not None
    lines: list[str] = []
    async with asyncio.timeout(30):
        while '"daemon.started"' not in "".join(lines[-1:]):
            line = (await process.stderr.readline()).decode()
            assert line, lines
            lines.append(line)
    process.send_signal(number)
    result = await finish(process)
    events = _lines("".join(lines) + result.err)
    assert (result.code, result.out) == (0, "")
    assert events[-1]["event"] == "daemon.stopped"
    assert {"event", "level", "timestamp"} <= set.intersection(*(set(each) for each in events))
    assert "PLANTED" not in result.everything


async def _ends(settings: dict[str, str], code: int, *words: str) -> None:
    """The daemon ends with this code; its last line is JSON and has these words."""
    result = await streamer("run", settings=settings)
    assert result.code == code, result.everything
    last = _lines(result.err)[-1]
    assert (last["event"], last["level"], last["exit_code"]) == ("daemon.ended", "error", code)
    for word in words:
        assert word in last["reason"]
    assert "Traceback" not in result.err
    assert PLANTED not in result.everything


async def test_a_wrong_key_pair_ends_it_with_three(settings: dict[str, str]) -> None:
    """Refused credentials at start are an error line with what to do, and exit 3."""
    settings["STREAMER_FLATFILE__SECRET"] = PLANTED
    await _ends(settings, 3, "refused", "STREAMER_FLATFILE__SECRET")


async def test_a_refused_token_ends_it_with_three(settings: dict[str, str]) -> None:
    """So is a personal access token that Flatfile does not take."""
    del settings["STREAMER_FLATFILE__CLIENT_ID"], settings["STREAMER_FLATFILE__SECRET"]
    settings["STREAMER_FLATFILE__TOKEN"] = f"pat_{PLANTED}"
    await _ends(settings, 3, "refused")


async def test_no_broker_ends_it_with_four(settings: dict[str, str]) -> None:
    """A broker that does not answer within the start-up time-out is exit 4."""
    settings |= {
        "STREAMER_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "STREAMER_KAFKA__STARTUP_TIMEOUT": "2",
    }
    await _ends(settings, 4, "127.0.0.1:1", "STREAMER_KAFKA__BOOTSTRAP_SERVERS")


async def test_a_taken_port_ends_it_with_two(settings: dict[str, str]) -> None:
    """A port for the web that somebody else has is exit 2, and named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings["STREAMER_WEB__PORT"] = str(port)
        await _ends(settings, 2, f"127.0.0.1:{port}", "STREAMER_WEB__PORT")


async def test_no_settings_at_all_end_it_with_two() -> None:
    """Without any setting it says what is missing first, and exits 2."""
    result = await streamer("run", settings={"STREAMER_WEB__PORT": "0"})
    assert result.code == 2
    assert "STREAMER_" in _lines(result.err)[-1]["reason"]


@pytest.mark.parametrize(
    "variables",
    [
        {"STREAMER_KAFKA__GRUOP": PLANTED},
        {"STREAMER_KAFFKA__GROUP": PLANTED},
        {"STREAMER_FLATFILE__TOKEN": PLANTED, "STREAMER_FLATFILE__CLIENT_ID": PLANTED},
        {"STREAMER_FLATFILE__API_URL": f"http://{PLANTED}.example.com/v1"},
    ],
)
async def test_settings_that_cannot_be_read_end_it_before_it_logs(
    variables: dict[str, str],
) -> None:
    """A wrong setting is one sentence and exit 2: how to log is not known yet."""
    result = await streamer("run", settings=variables)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("streamer: STREAMER_")
    assert result.err.count("\n") == 1
    assert PLANTED.lower() not in result.err.lower()


async def test_as_text_the_error_that_ends_it_is_a_sentence(settings: dict[str, str]) -> None:
    """With the console format it ends as every other command does."""
    settings |= {"STREAMER_FLATFILE__SECRET": PLANTED, "STREAMER_LOG__FORMAT": "console"}
    result = await streamer("run", settings=settings)
    assert result.code == 3
    assert result.err.splitlines()[-1].startswith("streamer: flatfile: the key pair is refused.")
    assert PLANTED not in result.err
