"""What the demo draws, without a broker: hostile names stay names, and numbers are those read."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from aiokafka.structs import ConsumerRecord
from rich.console import Console

from streamer.broker.progress import Progress, Stage
from streamer.commands.demo_feed import KEPT_LINES, RATE_OVER_S, EnvironmentFeed, Feed
from streamer.commands.demo_lines import LineView
from streamer.commands.demo_screen import ScreenView
from streamer.commands.demo_show import Addresses, Show
from streamer.telemetry.board import EnvironmentStatus

if TYPE_CHECKING:
    import pytest

HOSTILE = "prod[bold red]\x1b[2J\u202e[/]"


def _message(environment: str, sequence: int, name: str = "production") -> ConsumerRecord:  # type: ignore[type-arg]
    record = {
        "sequence": sequence,
        "action": "workbook:updated",
        "operation": "update",
        "actor": {"type": "user", "id": "us_usr_1", "name": f"Ada {HOSTILE}"},
        "target": {"type": "workbook", "name": "Payroll"},
        "environment": {"id": environment, "name": name},
    }
    value = json.dumps(record).encode()
    return ConsumerRecord(
        "t.audit", 0, sequence, 0, 1, environment.encode(), value, None, 0, len(value), []
    )


def _drawn(show: Show) -> str:
    console = Console(file=io.StringIO(), width=160, height=40, force_terminal=True)
    console.print(ScreenView(show, console)._picture(running=True))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return str(text)


def test_the_feed_counts_what_was_read() -> None:
    """Records, sequences and names are those of the messages, whatever their number."""
    feed = Feed()
    feed.add([_message("us_env_1", each) for each in range(1, 101)])
    feed.add([_message("us_env_2", 1, "staging"), _message("us_env_2", 2, "renamed")])
    assert feed.records == 102
    assert len(feed.lines) == KEPT_LINES
    one, two = feed.environments["us_env_1"], feed.environments["us_env_2"]
    assert (one.records, one.sequence, one.name) == (100, 100, "production")
    assert (two.records, two.sequence, two.name) == (2, 2, "renamed")


def test_a_message_that_is_no_record_is_shown_as_such() -> None:
    """Rubbish in the topic is counted and has a line, and does not end the view."""
    feed = Feed()
    feed.add([ConsumerRecord("t", 0, 0, 0, 1, None, b"\xff", None, 0, 1, [])])
    assert feed.records == 1
    assert feed.lines[0].said == "A record of another form"


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """What came longer ago than the window no longer counts."""
    feed = EnvironmentFeed("production")
    feed.add(50, 100.0)
    assert feed.rate(101.0) == 50 / RATE_OVER_S
    feed.add(10, 104.0)
    assert feed.rate(106.0) == 10 / RATE_OVER_S
    assert feed.rate(120.0) == 0.0


def test_hostile_names_are_drawn_as_letters() -> None:
    """Markup and escapes of names appear as text on the screen, in table and lines."""
    show = Show(addresses=Addresses("127.0.0.1:1", "http://127.0.0.1:2/v1"))
    show.feed.add([_message("us_env_1", 7, HOSTILE)])
    show.board.environments["us_env_1"] = EnvironmentStatus("us_env_1", HOSTILE, 0)
    show.board.environments["us_env_2"] = EnvironmentStatus("us_env_2", "quiet", 1)
    drawn = _drawn(show)
    # In the table, and in the sentence as part of the actor and as the environment.
    assert drawn.count("prod[bold red]\\x1b[2J\\u202e[/]") == 3
    assert "\x1b[2J" not in drawn
    assert "\u202e" not in drawn
    assert "quiet" in drawn
    assert "127.0.0.1:1" in drawn


def test_fetching_is_drawn_with_its_numbers() -> None:
    """While Kafka is fetched the head says how far that is."""
    show = Show(broker=Progress(Stage.FETCHING, 23, 46, 22_500_000))
    assert "fetching Apache Kafka: 23 of 46 files, 22.5 MB" in _drawn(show)


def test_plain_lines_are_few_and_hold_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """A burst of records is a handful of sentences and a count; fetching is one line."""
    show = Show()
    with LineView(show) as view:
        for done in range(46):
            show.on_broker_progress(Progress(Stage.FETCHING, done, 46, 1_000_000 * done))
            view.draw()
        show.feed.add([_message("us_env_1", each) for each in range(1, 2001)])
        view.draw()
        show.feed.add([_message("us_env_1", 2001)])
        view.draw()
        show.troubles.append("warning flatfile.request_retried \x1b[2J")
        view.draw()
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[:2] == ["Starting.", "Fetching Apache Kafka."]
    assert "2,000 more: 2,000 records in 1 environment so far." in lines
    assert lines[-1] == "1 more: 2,001 records in 1 environment so far."
    assert len(lines) == 10
    assert captured.err == "warning flatfile.request_retried \\x1b[2J\n"
    assert "\x1b" not in captured.out
