"""A data folder belongs to one broker at a time, and is never somebody else's folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from streamer.broker.folder import DataFolder
from streamer.broker.leftover import is_broker_on
from streamer.errors import DataFolderError

if TYPE_CHECKING:
    from pathlib import Path


def refusal_of(path: Path) -> DataFolderError:
    """What `acquire` says."""
    with pytest.raises(DataFolderError) as refusal:
        DataFolder(path).acquire()
    return refusal.value


def test_folder_can_be_had_again_once_it_was_given_up(tmp_path: Path) -> None:
    """A lock ends with its release, not with the file that carries it."""
    first = DataFolder(tmp_path / "new" / "folder")
    first.acquire()
    assert f"process {os.getpid()}" in str(refusal_of(first.path))

    first.release()

    second = DataFolder(first.path)
    second.acquire()
    second.release()


def test_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds something else is refused, and nothing is written into it."""
    (tmp_path / "letter.txt").write_text("dear")

    refusal = refusal_of(tmp_path)

    assert refusal.exit_code == 2
    assert "not a broker's" in refusal.what
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]


def test_fresh_file_system_counts_as_empty(tmp_path: Path) -> None:
    """What a file system puts into its root does not make the folder somebody's."""
    (tmp_path / "lost+found").mkdir()

    folder = DataFolder(tmp_path)
    folder.acquire()
    folder.release()


def test_file_in_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    """A path that cannot be a folder is refused with the system's reason and a way out."""
    (tmp_path / "file").write_text("")

    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        refusal = refusal_of(path)
        assert refusal.what == "it, or what it is in, is a file"
        assert "--data" in refusal.next_step


def test_comma_in_the_name_is_refused(tmp_path: Path) -> None:
    """Kafka would take one name with a comma for two folders."""
    assert "comma" in refusal_of(tmp_path / "a,b").what
    assert not (tmp_path / "a,b").exists()


def test_process_number_that_was_used_again_is_not_a_broker(tmp_path: Path) -> None:
    """A remembered number that now belongs to any other process is never taken for a broker."""
    folder = DataFolder(tmp_path)
    folder.acquire()
    folder.remember_pid(os.getpid())

    assert folder.remembered_pid() == os.getpid()
    assert not is_broker_on(os.getpid(), folder.properties_path)

    folder.forget_pid()
    assert folder.remembered_pid() is None
    folder.release()
