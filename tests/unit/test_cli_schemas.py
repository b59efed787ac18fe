"""`streamer schemas`: what lies in the repository is what is listed and written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from streamer.audit import examples
from streamer.cli import call

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


@pytest.mark.parametrize("below", ["", "folder"])
def test_a_file_in_place_of_the_folder_is_named(
    below: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file in the way ends with a sentence that says so, and exit code 2; it stays as it was."""
    (file := tmp_path / "file").write_text("x")
    assert call(["schemas", str(file / below)]) == 2
    assert capsys.readouterr().err == (
        f"streamer: {file / below}: it, or what it is in, is a file. "
        "Name a folder, which need not exist.\n"
    )
    assert file.read_text() == "x"
