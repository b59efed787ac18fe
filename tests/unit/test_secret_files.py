"""Secrets in files, while the files are replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from streamer.config import FlatfileSettings
from streamer.sources import SecretFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of a secret."""
    path = tmp_path / "secret"
    path.write_text("first\n")
    return path


@pytest.fixture
def now(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Reads the secret as it is now, as a daemon does that was started with the first one."""
    monkeypatch.setenv("STREAMER_FLATFILE__SECRET_FILE", str(file))
    files = SecretFiles(
        FlatfileSettings(client_id="client", secret=SecretStr("first")),
        prefix="STREAMER_FLATFILE__",
        secrets=("secret", "token"),
    )

    def read() -> str:
        settings = files.current()
        assert settings.client_id == "client"
        assert settings.secret is not None
        return settings.secret.get_secret_value()

    return read


def test_a_secret_that_was_replaced_is_the_new_one(file: Path, now: Callable[[], str]) -> None:
    """Every look at the file counts, and a change is logged by the name of its variable alone."""
    assert now() == "first"
    with capture_logs() as lines:
        file.write_text("second\n")
        assert [now(), now()] == ["second", "second"]
    assert [(line["event"], line["variable"]) for line in lines] == [
        ("secrets.file_changed", "STREAMER_FLATFILE__SECRET_FILE")
    ]
    assert "second" not in str(lines)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_that_is_being_replaced_changes_nothing(
    content: bytes | None, file: Path, now: Callable[[], str]
) -> None:
    """A file that is gone, empty or half written leaves the secret as it was, and is told once."""
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with capture_logs() as lines:
        assert [now(), now()] == ["first", "first"]
    assert [line["event"] for line in lines] == ["secrets.file_unreadable"]
    file.write_text("second")
    assert now() == "second"


def test_a_secret_that_is_in_no_file_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set as a value is what it was at the start."""
    monkeypatch.setenv("STREAMER_FLATFILE__TOKEN", "pat_2")
    settings = FlatfileSettings(token=SecretStr("pat_1"))
    files = SecretFiles(settings, prefix="STREAMER_FLATFILE__", secrets=("secret", "token"))
    assert files.current() is settings
