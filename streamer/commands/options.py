"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

ConfigFile = Annotated[
    Path | None,
    Parameter(
        name=("--config", "-c"),
        help="TOML file with settings; variables STREAMER_… win over it.",
    ),
]
"""Where the settings are, beside the environment."""
