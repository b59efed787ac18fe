"""A TOML file with every setting, its meaning and its default, made from the settings themselves.

A setting is a comment without a space after the `#`, so that removing the `#` of all of them gives
a file that loads; prose has the space.
"""

from __future__ import annotations

import json
import textwrap
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from streamer.config import SECRET_FIELDS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

WIDTH: Final = 92

EXAMPLES: Final = {
    "flatfile.client_id": "your client id",
    "flatfile.secret": "your secret",
    "kafka.sasl_username": "streamer",
    "kafka.sasl_password": "your password",
    "kafka.ssl_cafile": "/etc/streamer/ca.pem",
    "kafka.ssl_certfile": "/etc/streamer/client.pem",
    "kafka.ssl_keyfile": "/etc/streamer/client.key",
    "kafka.retention_days": 400,
    "kafka.group": "flatfile-streamer",
    "kafka.group_instance_id": "streamer-0",
    "privacy.key": "at least 16 random bytes",
    "log.format": "json",
}
"""Stands where a setting has no default."""

INSTEAD: Final = {"flatfile.token": "pat_…"}
"""Examples that contradict another one, so that they stay prose."""


def template() -> str:
    """The file's text."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Settings of streamer, each with its default. Remove the # of what you change."
    yield "# A variable STREAMER_<SECTION>__<FIELD> wins over this file. Times are in seconds."
    for section, info in Settings.model_fields.items():
        model: Any = info.annotation
        yield ""
        yield f"# {model.__doc__}"
        yield f"[{section}]"
        for name, field in model.model_fields.items():
            yield ""
            yield from _field(section, name, field)
    yield ""


def _field(section: str, name: str, field: FieldInfo) -> Iterator[str]:
    key = f"{section}.{name}"
    text = field.description or ""
    if values := _choices(field.annotation):
        text += f" One of: {', '.join(values)}."
    if name in SECRET_FIELDS.get(section, ()):
        text += f" Better in a file: STREAMER_{section.upper()}__{name.upper()}_FILE names it."
    for line in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False):
        yield f"# {line}"
    if field.default is not None:
        yield f"#{name} = {_toml(field.default)}"
    elif key in INSTEAD:
        yield f"# No default; for example: {name} = {_toml(INSTEAD[key])}"
    elif key in EXAMPLES:
        yield "# No default; for example:"
        yield f"#{name} = {_toml(EXAMPLES[key])}"


def _choices(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in {Union, UnionType}:
        return tuple(value for part in get_args(annotation) for value in _choices(part))
    return ()


def _toml(value: Any) -> str:  # noqa: ANN401 - as the settings
    # For strings, numbers, booleans and lists of strings TOML and JSON are written alike.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
