"""Where settings are read from: the environment, the files of secrets, a TOML file.

Everything is read once, at the start, but for the files of secrets: those are rotated while we run.
Which settings there are, and which of them are secrets, is not known here; neither an error nor a
log line from here quotes a value, which could be a secret.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import structlog
from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic_settings import EnvSettingsSource, NoDecode

from streamer.config_checks import flaw_of
from streamer.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic_settings import BaseSettings

log = structlog.get_logger()

S = TypeVar("S", bound=BaseModel)


def _split_list(value: object) -> object:
    """Take a list from the environment: comma-separated, or JSON."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    # [::1]:9092 is no JSON.
    if text.startswith("[") and (text.endswith("]") or "]:" not in text):
        try:
            return json.loads(text)
        except ValueError:
            return value
    if text.startswith("{"):
        return value  # An object is no list, and no item begins like one.
    return [item.strip() for item in text.split(",") if item.strip()]


StringList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_list)]


class Environment(EnvSettingsSource):
    """`os.environ`, with `…_FILE` for every secret, and no unknown section."""

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        prefix: str,
        secrets: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Read the variables, and the files that they name.

        Args:
            settings_cls: Whose sections there are.
            prefix: What the names of all variables begin with.
            secrets: The fields that may be given as a file, by section.

        Raises:
            SettingsError: There is no such section, or a file cannot be read.
        """
        super().__init__(settings_cls)
        prefix = prefix.lower()
        found = {k: v for k, v in self.env_vars.items() if k.startswith(prefix)}
        files = dict(_secret_files(found, prefix, secrets))
        self.env_vars = {**{k: v for k, v in found.items() if k not in files}, **_read(files)}
        for name in self.env_vars:
            section = name.removeprefix(prefix).partition("__")[0]
            if section not in settings_cls.model_fields:
                known = ", ".join(sorted(settings_cls.model_fields))
                raise SettingsError(
                    where=name.upper(),
                    what=f"there is no section {section!r}",
                    next_step=f"The sections are {known}; remove or correct the variable.",
                )


def _secret_files(
    variables: Mapping[str, str | None], prefix: str, secrets: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    for name, path in variables.items():
        section, _, field = name.removeprefix(prefix).partition("__")
        if field.removesuffix("_file") in secrets.get(section, ()) and field.endswith("_file"):
            yield name, path or ""


def _read(files: Mapping[str, str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, path in files.items():
        if not path:
            raise SettingsError(
                where=name.upper(),
                what="it is empty, and names no file",
                next_step="Give the path of a file that holds the secret, or remove the variable.",
            )
        target = name.removesuffix("_file")
        if target.upper() in {key.upper() for key in os.environ}:
            raise SettingsError(
                where=name.upper(),
                what=f"{target.upper()} is set as well",
                next_step="Keep one of the two.",
            )
        values[target] = read_secret_file(Path(path), where=name.upper())
    return values


def read_secret_file(path: Path, *, where: str) -> str:
    """Read a secret from a file, less its last newline.

    Raises:
        SettingsError: The file cannot be read, or holds no secret; the message names it, not its
            content.
    """
    try:
        secret = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        what = f"cannot read {path}: {reason}"
    else:
        if (flaw := flaw_of(secret)) is None:
            return secret
        what = f"the content of {path} {flaw}"
    raise SettingsError(
        where=where,
        what=what,
        next_step="Give the path of a file that holds the secret alone and that we may read.",
    )


class SecretFiles(Generic[S]):
    """One section of the settings, with the secrets that are in files as they are now."""

    def __init__(self, settings: S, *, prefix: str, secrets: Iterable[str]) -> None:
        """Read nothing yet.

        Args:
            settings: The section as it was read at the start.
            prefix: What the names of the section's variables begin with.
            secrets: The fields that may be given as a file.
        """
        self._settings = settings
        variables = {name.upper(): value for name, value in os.environ.items()}
        names = {field: f"{prefix}{field}_FILE".upper() for field in secrets}
        self._files = {
            field: (name, Path(variables[name]))
            for field, name in names.items()
            if name in variables
        }
        self._unreadable: set[str] = set()

    def current(self) -> S:
        """Return the section after a look at the files.

        A file that is being replaced may be gone, empty or unreadable for a moment: until it can be
        read again, the secret is what it was.
        """
        for field, (name, path) in self._files.items():
            try:
                secret = SecretStr(read_secret_file(path, where=name))
            except SettingsError as error:
                if field not in self._unreadable:
                    self._unreadable.add(field)
                    log.warning("secrets.file_unreadable", variable=name, reason=error.what)
                continue
            self._unreadable.discard(field)
            if secret != getattr(self._settings, field):
                self._settings = self._settings.model_copy(update={field: secret})
                log.info("secrets.file_changed", variable=name)
        return self._settings


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file with settings.

    Raises:
        SettingsError: It cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # The parser's message names line and column; it quotes at most one character.
        what = f"is not TOML: {error}"
    raise SettingsError(
        where=str(path), what=what, next_step="Correct the file named with --config."
    )


def name_for_people(
    prefix: str, location: tuple[int | str, ...], in_file: object, config: Path | None
) -> str:
    """Return the variable that a problem is with, or the place in the file if it is there."""
    parts = [str(part) for part in location if not isinstance(part, int)]
    variable = prefix + "__".join(parts).upper()
    if any(name.upper().startswith(variable) for name in os.environ):
        return variable
    for part in parts:
        if not isinstance(in_file, dict) or part not in in_file:
            return variable
        in_file = in_file[part]
    return f"{config}, {'.'.join(parts)}"
