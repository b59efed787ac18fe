"""What a running shard does beside committing: an archiver for each environment, and the inventory.

All of it can stop anywhere: what was not committed is read again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamer.kafka.partitions import partition_of
from streamer.shard.deep_sweeps import DeepSweeps
from streamer.shard.inventory import keep

if TYPE_CHECKING:
    from streamer.archiver import Archiver
    from streamer.flatfile.models import Environment
    from streamer.offer import Committer
    from streamer.shard.restore import Restore
    from streamer.shard.surroundings import Surroundings


class Reading:
    """The environments of one shard, from where the log has them."""

    def __init__(
        self, number: int, around: Surroundings, restored: Restore, committer: Committer
    ) -> None:
        self._number = number
        self._around = around
        self._restored = restored
        self._committer = committer

    async def run(self) -> None:
        """Run an archiver for each environment of this shard, as they appear; for ever."""
        have: set[str] = set()
        async with asyncio.TaskGroup() as group:
            self._start_inventory(group)
            sweeps = DeepSweeps(self._number, self._around)
            group.create_task(sweeps.run(), name=f"shard {self._number}: deep sweeps")
            for environment in self._restored.environments:
                have.add(environment.id)
                sweeps.add(self._start_archiver(group, environment))
            while True:
                known = await self._around.environments.more_than(have)
                for environment in known.values():
                    if environment.id in have:
                        continue
                    have.add(environment.id)
                    if partition_of(environment.id, self._around.topics.partitions) == self._number:
                        sweeps.add(self._start_archiver(group, environment))

    def _start_inventory(self, group: asyncio.TaskGroup) -> None:
        keeper = self._around.keeper(self._number)
        if keeper is None:
            return
        keeping = keep(
            keeper,
            self._around.connection,
            self._around.topics.inventory.name,
            self._number,
            self._committer,
            is_new=bool(self._restored.shard_record),
        )
        group.create_task(keeping, name=f"shard {self._number}: inventory")

    def _start_archiver(self, group: asyncio.TaskGroup, environment: Environment) -> Archiver:
        resumed = self._restored.resume(environment)
        archiver = self._around.archiver(environment, self._number, resumed, self._committer)
        group.create_task(archiver.run(), name=f"archiver {environment.id}")
        return archiver
