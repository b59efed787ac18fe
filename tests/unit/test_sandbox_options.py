"""What a sandbox can be made with, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from streamer.errors import SettingsError
from streamer.sandbox.options import FIXED, SandboxOptions


@pytest.mark.parametrize(
    ("options", "where", "what"),
    [
        ({"throttle": 3}, "sandbox option throttle", "3 is more than all"),
        ({"hostile_share": 1.5}, "sandbox option hostile_share", "1.5 is more than all"),
        ({"throttle": -0.1}, "sandbox option throttle", "-0.1 is negative"),
        ({"throttle": float("nan")}, "sandbox option throttle", "nan is no number"),
        ({"late_most_s": -1}, "sandbox option late_most_s", "-1.0 is negative"),
        ({"expire_rate": -1}, "sandbox option expire_rate", "-1.0 is negative"),
        ({"users": -1}, "sandbox option users", "-1 is negative"),
        ({"events": -1}, "sandbox option events", "-1 is negative"),
        ({"events": 10**21}, "sandbox option events", f"{10**21} is too many"),
        ({"users": 10**9}, "sandbox option users", f"{10**9} is too many"),
        ({"days": 1e9}, "sandbox option days", "1000000000.0 is too many"),
        ({"rate": float("inf")}, "sandbox option rate", "inf is no number"),
        ({"page_cap": 0}, "sandbox option page_cap", "a page holds at least one row"),
        (
            {"throttle": 0.6, "html": 0.5},
            "sandbox options throttle, html",
            "together they are more than all requests",
        ),
    ],
)
def test_a_number_that_cannot_be_is_refused(options: dict[str, Any], where: str, what: str) -> None:
    """A share is one of all, and a count neither negative nor endless; so too while it runs."""
    for change in (SandboxOptions.from_json, SandboxOptions().changed):
        if change != SandboxOptions.from_json and options.keys() & FIXED:
            continue  # The account is what it is by then.
        with pytest.raises(SettingsError) as refusal:
            change(options)
        assert (refusal.value.where, refusal.value.what) == (where, what)


def test_shares_that_are_all_requests_together_are_taken() -> None:
    """Ten tenths are all, whatever they are in binary; clocks may differ either way."""
    kinds = ("throttle", "error_500", "bad_gateway", "status", "html", "garbage", "half", "reset")
    options = dict.fromkeys(kinds, 0.1) | {"hang": 0.1, "truncated": 0.1, "date_skew_s": -30}
    assert SandboxOptions.from_json(options).reading.date_skew_s == -30
