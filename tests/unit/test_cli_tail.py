"""Which records `tail` shows, and how: without a broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streamer.commands.moments import parse_moment
from streamer.commands.printer import Printer
from streamer.commands.selection import Found
from streamer.commands.tail_filter import Filter

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

RECORD: dict[str, Any] = {
    "time": "2026-11-24T10:00:00.500Z",
    "sequence": 7,
    "action": "workbook:updated",
    "operation": "update",
    "actor": {"type": "guest", "id": "us_g_Ab", "name": "Ada Park", "email": "ada@example.com"},
    "target": {"type": "workbook", "id": "us_wb_1", "name": "Payroll"},
    "environment": {"id": "us_env_1", "name": "production"},
    "space": {"id": "us_sp_1", "name": "Open enrollment"},
}


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (Filter(), True),
        (Filter(environment="us_env_1"), True),
        (Filter(environment="Production"), True),
        (Filter(environment="prod"), False),
        (Filter(environment="us_env_2"), False),
        (Filter(space="open ENROLLMENT"), True),
        (Filter(space="us_sp_1"), True),
        (Filter(space="us_sp_2"), False),
        (Filter(action="workbook:*"), True),
        (Filter(action="*:updated"), True),
        (Filter(action="workbook"), False),
        (Filter(action="Workbook:*"), False),
        (Filter(actor="PARK"), True),
        (Filter(actor="ada@"), True),
        (Filter(actor="us_g_Ab"), True),
        (Filter(actor="grace"), False),
        (Filter(since=datetime(2026, 11, 24, 10, 0, 0, 500_000, tzinfo=UTC)), True),
        (Filter(since=datetime(2026, 11, 24, 10, 0, 1, tzinfo=UTC)), False),
        (Filter(until=datetime(2026, 11, 24, 10, 0, 1, tzinfo=UTC)), True),
        (Filter(until=datetime(2026, 11, 24, 10, 0, 0, 500_000, tzinfo=UTC)), False),
        (Filter(from_sequence=7), True),
        (Filter(from_sequence=8), False),
        (Filter(environment="production", actor="grace"), False),
    ],
)
def test_a_record_passes_if_it_is_all_that_is_asked(wanted: Filter, *, passes: bool) -> None:
    """Each part of a filter must hold: names as a whole, actors in part, actions as a pattern."""
    assert wanted.passes(RECORD) is passes


@pytest.mark.parametrize("actor", [None, "Ada", ["Ada"], {}, {"name": None}, {"name": 7}])
def test_a_record_of_any_form_can_be_held_against_a_filter(actor: object) -> None:
    """Missing members and members of another form never raise, and never match."""
    assert not Filter(actor="Ada").passes({"actor": actor})
    assert not Filter(environment="x", space="y", since=NOW, from_sequence=1).passes(
        {"environment": actor, "space": actor, "time": actor, "sequence": actor}
    )


def test_a_record_without_a_time_counts_from_when_it_was_observed() -> None:
    """A stub whose event had no date-time is still found by time."""
    stub = {"observed": "2026-11-24T11:00:00Z"}
    assert Filter(since=NOW - timedelta(hours=2)).passes(stub)
    assert not Filter(since=NOW).passes(stub)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("15m", NOW - timedelta(minutes=15)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
        ("0s", NOW),
        ("2026-11-24T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-11-24T11:00:00+01:00", NOW - timedelta(hours=2)),
    ],
)
def test_moments_are_durations_or_date_times_with_a_zone(text: str, moment: datetime) -> None:
    """Both forms give the same kind of instant, in UTC."""
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "15", "m", "-5m", "1y", "2026-11-24", "2026-13-01T00:00Z", "9" * 9 + "w"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """What could be misunderstood, such as a date without a zone, is refused."""
    with pytest.raises(ValueError, match=r"zone"):
        parse_moment(text, NOW)


def _found(record: dict[str, Any] | None, value: bytes = b"{}") -> Found:
    return Found(appended_ms=0, partition=3, offset=9, value=value, record=record)


def test_a_line_says_when_where_and_who_did_what(capsys: pytest.CaptureFixture[str]) -> None:
    """Time in UTC, the environment's name, the sentence."""
    Printer(in_json=False).write([_found(RECORD)])
    assert capsys.readouterr().out == (
        "2026-11-24 10:00:00Z  production  Ada Park (guest) updated workbook Payroll\n"
    )


def test_a_hostile_name_is_shown_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, line breaks and bidi characters of a name do not leave their place."""
    actor = {**RECORD["actor"], "name": "Ada\n\x1b[1A\x1b[2KBob\u202e"}
    environment = {**RECORD["environment"], "name": "prod\r\x1b[2J"}
    Printer(in_json=False).write([_found({**RECORD, "actor": actor, "environment": environment})])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.isascii()
    assert out.rstrip("\n").isprintable()
    assert "Ada\\x0a\\x1b[1A\\x1b[2KBob\\u202e (guest) updated" in out


def test_a_record_that_cannot_be_read_has_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """What no parser takes is not left out in silence."""
    Printer(in_json=False).write([_found(None)])
    assert "cannot be shown (partition 3, offset 9)" in capsys.readouterr().out


def test_json_is_the_bytes_of_the_topic(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A record is printed byte for byte, whatever is in it."""
    value = '{"a": "\\ud800 é", "b" : 1.0}'.encode() + b"\xff"
    Printer(in_json=True).write([_found(None, value)])
    assert capfdbinary.readouterr().out == value + b"\n"
