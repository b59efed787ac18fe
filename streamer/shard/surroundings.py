"""What every shard of a worker is handed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streamer.archiver import Archiver, Resumed
    from streamer.audit.privacy import Privacy
    from streamer.capture.environments import Environments
    from streamer.config import Settings
    from streamer.flatfile.models import Environment
    from streamer.flatfile.server_profile import ServerProfile
    from streamer.inventory.keeper import Keeper
    from streamer.kafka.client import Connection
    from streamer.kafka.topics import Topics
    from streamer.offer import Committer
    from streamer.shard.limits import Limits
    from streamer.telemetry.board import Board
    from streamer.telemetry.incidents import Incidents


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Built once by the daemon.

    Attributes:
        start: `STREAMER_CAPTURE__START` as an instant, for shards that have none in their record.
        archiver: Builds the archiver of an environment from where it stands.
        keeper: Builds what keeps the inventory of a shard; None: nothing does.
        sweeping: Held by the one shard that sweeps deeply: what each holds of the log and of pages
            meanwhile must not add up.
    """

    settings: Settings
    connection: Connection
    topics: Topics
    limits: Limits
    account_id: str
    start: datetime | None
    profile: ServerProfile
    environments: Environments
    archiver: Callable[[Environment, int, Resumed, Committer], Archiver]
    keeper: Callable[[int], Keeper | None]
    board: Board
    incidents: Incidents
    privacy: Privacy
    sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)
