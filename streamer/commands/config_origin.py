"""Where the value of each setting comes from: a variable, the file, or its default."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streamer.config import ENVIRONMENT_PREFIX, SECRET_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from streamer.config import Settings

DEFAULT: Final = "default"
HIDDEN: Final = "(set, not shown)"
NONE: Final = "-"


class Setting(NamedTuple):
    """One setting as it is in effect.

    Attributes:
        value: For people to read; of a secret nothing but that it is set.
        origin: The variable's name, the file's path, or `DEFAULT`.
    """

    section: str
    field: str
    value: str
    origin: str


def effective(settings: Settings, config: Path | None) -> Iterator[Setting]:
    """Every setting with its origin, in the order of the sections.

    Args:
        settings: As they were read just now, from the environment and `config`.
        config: The file given with --config.
    """
    variables = {name.upper(): value for name, value in os.environ.items()}
    in_file = tomllib.loads(config.read_text(encoding="utf-8")) if config is not None else {}
    for section, model in settings:
        for field in type(model).model_fields:
            origin = _variable(section, field, variables)
            if origin is None and field in in_file.get(section, {}):
                origin = str(config)
            value = getattr(model, field)
            if (section, field) == ("kafka", "group"):
                value = settings.kafka.group_id
            yield Setting(section, field, _shown(section, field, value), origin or DEFAULT)


def _variable(section: str, field: str, variables: Mapping[str, str]) -> str | None:
    whole = f"{ENVIRONMENT_PREFIX}{section}".upper()
    name = f"{whole}__{field.upper()}"
    if name in variables:
        return name
    if field in SECRET_FIELDS.get(section, ()) and f"{name}_FILE" in variables:
        return f"{name}_FILE"
    # A whole section may be given as one variable that holds JSON.
    if whole in variables and field in json.loads(variables[whole]):
        return whole
    return None


def _shown(section: str, field: str, value: Any) -> str:  # noqa: ANN401 - as the settings
    if value is None or value == ():
        return NONE
    if field in SECRET_FIELDS.get(section, ()):
        return HIDDEN
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)
