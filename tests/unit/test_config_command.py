"""`streamer config`: the settings in effect, and the file with all of them."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from streamer.cli import call
from streamer.commands.config_template import INSTEAD, template
from streamer.config import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PLANTED = "PLANTED-0123456789"

FIELDS = [
    (section, name)
    for section, info in Settings.model_fields.items()
    for name in info.annotation.model_fields  # type: ignore[union-attr]
]


def _uncommented() -> str:
    return re.sub(r"^#(?=\S)", "", template(), flags=re.MULTILINE)


def test_the_template_loads_as_it_is(tmp_path: Path) -> None:
    """The template with every comment in place is a file that changes nothing."""
    file = tmp_path / "streamer.toml"
    file.write_text(template())
    assert load_settings(file) == load_settings()


def test_the_template_loads_with_every_setting_uncommented(tmp_path: Path) -> None:
    """Without its comment signs the template has every field, and its defaults are the defaults."""
    file = tmp_path / "streamer.toml"
    file.write_text(_uncommented())
    found = tomllib.loads(_uncommented())
    settings, defaults = load_settings(file), load_settings()
    for section, name in FIELDS:
        default = getattr(getattr(defaults, section), name)
        if f"{section}.{name}" in INSTEAD:
            assert f"for example: {name} = " in template()
            continue
        assert name in found[section], f"{section}.{name}"
        if default is not None:
            assert getattr(getattr(settings, section), name) == default, f"{section}.{name}"


def test_the_template_explains_every_setting() -> None:
    """The description of each field stands in the template."""
    prose = " ".join(
        line.removeprefix("# ") for line in template().splitlines() if line.startswith("# ")
    )
    for section, info in Settings.model_fields.items():
        for name, field in info.annotation.model_fields.items():  # type: ignore[union-attr]
            assert str(field.description) in prose, f"{section}.{name}"


def test_the_origin_of_every_value_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value is followed by the variable, the file, or `default`, whichever it came from."""
    secret = tmp_path / "secret"
    secret.write_text(PLANTED)
    file = tmp_path / "streamer.toml"
    file.write_text('[kafka]\ntopic_prefix = "file"\npartitions = 3\n')
    monkeypatch.setenv("STREAMER_KAFKA__TOPIC_PREFIX", "variable")
    monkeypatch.setenv("STREAMER_KAFKA__SASL_PASSWORD", PLANTED)
    monkeypatch.setenv("STREAMER_FLATFILE__CLIENT_ID", "me")
    monkeypatch.setenv("STREAMER_FLATFILE__SECRET_FILE", str(secret))
    monkeypatch.setenv("STREAMER_LOG", '{"level": "debug"}')
    assert call(["config", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    shown = {tuple(line.split(None, 1)) for line in out.splitlines() if line.startswith("  ")}
    rows = {name: re.split(r"\s{2,}", rest.strip()) for name, rest in shown}
    assert rows["topic_prefix"] == ["variable", "STREAMER_KAFKA__TOPIC_PREFIX"]
    assert rows["partitions"] == ["3", str(file)]
    assert rows["group"] == ["variable-streamer", "default"]
    assert rows["compression"] == ["zstd", "default"]
    assert rows["level"] == ["debug", "STREAMER_LOG"]
    assert rows["secret"] == ["(set, not shown)", "STREAMER_FLATFILE__SECRET_FILE"]
    assert rows["sasl_password"] == ["(set, not shown)", "STREAMER_KAFKA__SASL_PASSWORD"]
    assert rows["token"] == ["-", "default"]
    assert {name for _, name in FIELDS} == set(rows)
    assert PLANTED not in out


def test_a_value_cannot_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escapes in a value are shown, not sent."""
    monkeypatch.setenv("STREAMER_KAFKA__GROUP", "a\x1b[31mb")
    assert call(["config"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a\\x1b[31mb" in out
