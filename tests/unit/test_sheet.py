"""Rows as tables that fit and CSV that is harmless, whatever is in a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from streamer.commands.sheet import Column, Sheet, draw, guarded, write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = (Column("id", is_whole=True), Column("name"), Column("more", is_wide=True))


def _drawn(
    rows: Sequence[Sequence[str]],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    draw(Sheet(COLUMNS, rows))
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [30, 80, 200])
@pytest.mark.parametrize("name", ["x" * 250, "w o r d s " * 25, "表" * 120, "e\u0301" * 90])
def test_a_table_is_never_wider_than_the_terminal(
    name: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where letters are two cells wide, or none; and no letter is lost."""
    lines = _drawn([("us_sp_12345678", name, "more")], width, capsys, monkeypatch)
    assert max(map(cell_len, lines)) <= width
    assert "us_sp_12345678" in lines[2]
    shown = "".join(lines).replace(" ", "")
    assert shown.count(name[0]) >= name.count(name[0])


def test_words_are_kept_together(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of topics is broken between topics."""
    topics = "records:created, records:updated, job:ready"
    lines = _drawn([("us_ag_1", topics, "")], 30, capsys, monkeypatch)
    assert [line.split() for line in lines[2:]] == [
        ["us_ag_1", "records:created,"],
        ["records:updated,"],
        ["job:ready"],
    ]


def test_what_is_for_wide_terminals_is_left_out_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But never from CSV."""
    rows = [("us_sp_1", "Payroll", "more of it")]
    assert "more of it" not in "".join(_drawn(rows, 80, capsys, monkeypatch))
    assert "more of it" in "".join(_drawn(rows, 120, capsys, monkeypatch))
    write_csv(Sheet(COLUMNS, rows))
    assert capsys.readouterr().out == "id,name,more\nus_sp_1,Payroll,more of it\n"


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\uff1d1"]
)
def test_no_cell_begins_a_formula(formula: str) -> None:
    """Nor one behind white space, which some spreadsheets cut off."""
    cell = guarded(formula)
    assert cell.isprintable()
    assert cell[0] not in "=+-@"
    assert cell.startswith(("'", "\\"))


def test_what_is_no_formula_stays_as_it_is() -> None:
    """Whatever signs are in it."""
    assert guarded("a=b-c@d") == "a=b-c@d"
