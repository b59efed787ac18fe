"""Options of the suites that take as long as they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `pytest -m chaos` is told."""
    parser.addoption(
        "--minutes", type=float, default=15.0, help="chaos: how long faults happen, all in all"
    )
    parser.addoption(
        "--report", default=None, help="chaos: file for the report; default: a temporary one"
    )
