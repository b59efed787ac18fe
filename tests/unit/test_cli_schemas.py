"""`streamer schemas`: what lies in the repository is what is listed and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from streamer.audit import examples
from streamer.cli import call

if TYPE_CHECKING:
    import pytest

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"


def test_every_file_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder each file is named, and nothing is written."""
    assert call(["schemas"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert {"audit-record-1.schema.json", "examples/audit-records.jsonl"} <= set(listed)
    assert all((SCHEMAS / name).is_file() for name in listed)


def test_every_file_is_written_as_it_is(tmp_path: Path) -> None:
    """With a folder, which need not exist, it holds byte for byte what the repository holds."""
    folder = tmp_path / "new" / "folder"
    assert call(["schemas", str(folder)]) == 0
    written = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    there = {p.relative_to(SCHEMAS): p.read_bytes() for p in SCHEMAS.rglob("*") if p.is_file()}
    assert written == there
    for name, content in examples.files().items():
        assert written[Path("examples") / name] == content


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the way ends with a sentence and exit code 2."""
    (tmp_path / "file").write_text("x")
    assert call(["schemas", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
