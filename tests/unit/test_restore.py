"""What a shard takes up of what its log knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from streamer.audit.checkpoint import EnvironmentName, ShardRecord
from streamer.audit.privacy import Privacy
from streamer.capture.environments import Environments
from streamer.config import Settings
from streamer.errors import ShardRefusedError
from streamer.flatfile.server_profile import ServerProfile
from streamer.shard.restore import Restore
from streamer.shard.shard_record import compare
from tests.support.audit_records import CHECKPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.flatfile.models import Environment


async def nothing() -> Sequence[Environment]:
    """Answer as an account without environments."""
    return []


def restore_among(environments: Environments) -> Restore:
    """Return one that has read nothing yet."""
    around = SimpleNamespace(
        settings=Settings(),
        topics=SimpleNamespace(audit=SimpleNamespace(name="audit")),
        profile=ServerProfile(10),
        environments=environments,
        privacy=Privacy("clear", b""),
    )
    return Restore(0, cast("Any", around))


@pytest.mark.parametrize(("included", "taken_up"), [((), ["a", "b"]), (("b",), ["b"])])
async def test_environment_that_is_no_longer_included_is_not_taken_up(
    included: tuple[str, ...], taken_up: list[str]
) -> None:
    """A checkpoint does not make an environment read that the settings leave out by now."""
    restore = restore_among(Environments(nothing, included=included))
    for name in ("a", "b"):
        restore._take_checkpoint(
            msgspec.structs.replace(CHECKPOINT, environment=EnvironmentName(name, name))
        )
    assert [environment.id for environment in restore.environments] == taken_up


@pytest.mark.parametrize(
    ("found", "told", "is_refused"),
    [("a", "a", False), ("a", "b", True), ("", "b", False), ("a", "", False)],
)
async def test_account_that_is_not_known_yet_contradicts_none(
    found: str, told: str, *, is_refused: bool
) -> None:
    """Only two accounts that are both known are different ones."""
    records = [
        ShardRecord(account=account, partitions=1, audit_topic_id="t") for account in (found, told)
    ]
    refused = False
    try:
        compare(*records, where="here")
    except ShardRefusedError:
        refused = True
    assert refused is is_refused
