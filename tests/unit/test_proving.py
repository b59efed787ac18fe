"""What a demo says at its end of what it has published."""

from __future__ import annotations

import pytest

from streamer.commands.proving import verdict
from streamer.errors import CheckFailedError
from tests.support.published import Published, events_of


def test_what_holds_is_called_proved() -> None:
    """The line names how much was looked at and what for."""
    said = verdict(Published.of("us_env_1", events_of(3)).judged(), "t")
    assert said.startswith("proved: 3 records in 1 environment, every sequence without a gap, ")


def test_what_does_not_hold_is_a_failure() -> None:
    """The first finding is named, and the exit code is that of a no."""
    published = Published.of("us_env_1", events_of(3))
    del published.records[1]
    with pytest.raises(
        CheckFailedError, match=r"1 finding in 2 records.*gap at offset 4"
    ) as caught:
        verdict(published.judged(), "t")
    assert caught.value.exit_code == 5


def test_nothing_is_no_proof() -> None:
    """An empty topic is not called proved."""
    with pytest.raises(CheckFailedError, match="nothing was published"):
        verdict(Published([], [], []).judged(), "t")
