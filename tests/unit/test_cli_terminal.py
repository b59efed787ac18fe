"""What others wrote is shown on a terminal, never obeyed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.commands.terminal import LENGTH_AT_MOST, clipped, counted, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada Park", "Ada Park"),
        ("Sofía Müller 李 👩\u200d🔬", "Sofía Müller 李 👩\u200d🔬"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("\x9b31m", "\\x9b31m"),
        ("in\u202evoice", "in\\u202evoice"),
        ("a\u2066b\u2069\u200f", "a\\u2066b\\u2069\\u200f"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\ud800", "\\ud800"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\ufeffx\u200b", "\\ufeffx\\u200b"),
        ("[bold red]x[/]", "[bold red]x[/]"),
    ],
)
def test_what_a_terminal_could_obey_is_written_as_an_escape(text: str, expected: str) -> None:
    """Controls, bidi and invisible characters become escapes; letters and markup stay."""
    assert shown(text) == expected


@given(st.text(st.characters(codec=None)))
def test_nothing_that_is_shown_can_be_obeyed(text: str) -> None:
    """Whatever the text, what is shown is one line without control or format characters."""
    categories = {unicodedata.category(each) for each in shown(text) if each not in "\u200c\u200d"}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(shown(text).splitlines()) <= 1


def test_a_name_of_a_megabyte_leaves_room_for_others() -> None:
    """A text is cut before it is escaped, with a sign that it goes on."""
    assert clipped("x" * 1_000_000) == "x" * (LENGTH_AT_MOST - 1) + "…"
    assert clipped("x" * LENGTH_AT_MOST) == "x" * LENGTH_AT_MOST


def test_numbers_are_followed_by_the_right_form() -> None:
    """One record, two thousand records."""
    assert counted(1, "record") == "1 record"
    assert counted(2042, "record") == "2,042 records"
