"""`streamer check`: is everything as `run` needs it? A line for each look, and what to do.

A look goes on after one that failed, as far as it does not depend on it: whoever sets up a
deployment wants all that is missing at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streamer.commands import explain as explanation
from streamer.commands.options import ConfigFile  # noqa: TC001 (the command line reads it)
from streamer.commands.quiet import silence_logs
from streamer.commands.terminal import a_few
from streamer.commands.topics import judge
from streamer.commands.verdicts import Verdicts
from streamer.config import load_settings
from streamer.errors import (
    CheckFailedError,
    FlatfileError,
    FlatfileForbiddenError,
    SettingsError,
    StreamerError,
    TopicError,
)
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.transport import Patience
from streamer.kafka import permissions, topics
from streamer.kafka.client import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from streamer.config import Settings
    from streamer.flatfile.models import Environment
    from streamer.kafka.topics import TopicState

PATIENCE: Final = Patience(connect_s=5, silence_s=10, total_s=20, attempts=2, longest_wait_s=5)
"""Somebody is waiting for the answer; the daemon has more of it."""


async def check(*, config: ConfigFile = None, explain: bool = False) -> int:
    """Look whether everything is as `run` needs it, and say what to do where it is not.

    Nothing is published. Exit code 0 if all is well, 5 if something is not, 2 if it is a setting.

    Args:
        config: TOML file with settings.
        explain: Say also how this server lists events, as far as that can be seen, and what `run`
            will therefore do. Sends 10 to 100 further requests, at the pace that Flatfile allows.
    """
    silence_logs()
    verdicts = Verdicts("credentials", "environments", "permissions")
    settings = _settings(config, verdicts)
    if settings is not None:
        patience = explanation.PATIENCE if explain else PATIENCE
        environments = await _flatfile(settings, patience, verdicts)
        await _kafka(settings, verdicts)
        if explain and environments:
            await explanation.explain(settings, environments, verdicts)
    if any(isinstance(error, SettingsError) for error in verdicts.failures):
        return SettingsError.exit_code
    return CheckFailedError.exit_code if verdicts.failures else 0


def _settings(config: Path | None, verdicts: Verdicts) -> Settings | None:
    try:
        settings = load_settings(config)
    except SettingsError as error:
        verdicts.failed("settings", error)
        return None
    origin = "the environment" if config is None else f"{config} and the environment"
    verdicts.ok("settings", f"read from {origin}; `streamer config` shows them")
    return settings


async def _flatfile(
    settings: Settings, patience: Patience, verdicts: Verdicts
) -> list[Environment]:
    """Look at the account, and return the environments that `run` will read."""
    try:
        async with FlatfileClient(settings.flatfile, patience=patience) as client:
            await client.authenticate()
            # A personal access token is tried by using it.
            found = await client.environments()
    except FlatfileForbiddenError as error:
        verdicts.ok("credentials", f"accepted by {settings.flatfile.api_url}")
        verdicts.failed("environments", error)
        return []
    except (FlatfileError, SettingsError) as error:
        verdicts.failed("credentials", error)
        verdicts.skipped("environments", "not looked at: see credentials")
        return []
    verdicts.ok("credentials", f"accepted by {settings.flatfile.api_url}")
    return _environments(found, settings, verdicts)


def _environments(
    found: list[Environment], settings: Settings, verdicts: Verdicts
) -> list[Environment]:
    wanted = settings.capture.environments
    missing = [each for each in wanted if each not in {one.id for one in found}]
    chosen = [one for one in found if not wanted or one.id in wanted]
    if missing or not chosen:
        verdicts.failed(
            "environments",
            CheckFailedError(
                where="environments",
                what=f"not found: {', '.join(missing)}" if missing else "the account shows none",
                next_step="Correct STREAMER_CAPTURE__ENVIRONMENTS, or use credentials of the "
                "account that has them.",
            ),
        )
        return chosen
    production = sum(one.is_prod for one in chosen)
    names = a_few([one.name or one.id for one in chosen])
    verdicts.ok("environments", f"{len(chosen)}, {production} of them production: {names}")
    return chosen


async def _kafka(settings: Settings, verdicts: Verdicts) -> None:
    try:
        connection = Connection(settings.kafka)
        found = await _topics(connection, settings)
    except StreamerError as error:
        verdicts.failed("broker", error)
        verdicts.skipped("topics", "not looked at: see broker")
        verdicts.skipped("permissions", "not looked at: see broker")
        return
    verdicts.ok("broker", f"{connection.servers} answers")
    if connection.in_the_clear:
        verdicts.warn(
            "broker",
            f"records travel in the clear ({settings.kafka.security_protocol}) to another machine. "
            "Set STREAMER_KAFKA__SECURITY_PROTOCOL to SSL or SASL_SSL.",
        )
    if isinstance(found, TopicError):
        verdicts.failed("topics", found)
    elif found:
        judge(found, settings.kafka, verdicts, subject="topics")
    else:
        verdicts.ok("topics", f"none yet: `run` creates {settings.kafka.topic_prefix}.*")
    of_topics = "read and write" if found else "create"
    await _permissions(connection, settings, verdicts, of_topics)


async def _topics(
    connection: Connection, settings: Settings
) -> Mapping[str, TopicState] | TopicError:
    """The topics as they are, or why a broker that answers does not show them."""
    try:
        return await topics.describe(connection, settings.kafka)
    except TopicError as error:
        return error


async def _permissions(
    connection: Connection, settings: Settings, verdicts: Verdicts, of_topics: str
) -> None:
    try:
        refusals = await permissions.refusals(connection, settings.kafka)
    except StreamerError as error:
        verdicts.failed("permissions", error)
        return
    for refusal in refusals:
        verdicts.failed("permissions", refusal)
    if not refusals:
        what = f"may {of_topics} the topics, start transactions, and join the group"
        verdicts.ok("permissions", what)
