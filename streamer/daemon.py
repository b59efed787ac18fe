"""The composition root of `run`: builds the parts, supervises them, shuts them down in order.

In: SIGTERM or Ctrl-C (as an `asyncio.Event`). Out: nothing; whoever called returns 0. What ends the
daemon by an error is what a person must mend at start (settings, credentials, topics, a shard that
contradicts us) and what is a bug; everything else is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from streamer.archiver import Archiver
from streamer.audit.privacy import Privacy
from streamer.capture.buffer import Buffer
from streamer.capture.environments import Environments
from streamer.capture.scout import Scout
from streamer.config import ENVIRONMENT_PREFIX, SECRET_FIELDS
from streamer.enrichment.directory import Directory
from streamer.errors import (
    CredentialsRefusedError,
    FlatfileError,
    KafkaUnreachableError,
    StreamerError,
)
from streamer.flatfile.auth import credentials_from
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.listing import PageRequest
from streamer.flatfile.lists import Lists
from streamer.flatfile.server_profile import ServerProfile
from streamer.inventory import keeper
from streamer.inventory.told import Told
from streamer.kafka import topics
from streamer.kafka.client import Connection, was_reported
from streamer.kafka.group import Membership
from streamer.kafka.partitions import partition_of
from streamer.publisher import Parts
from streamer.shard.assignment import Shards
from streamer.shard.limits import Limits
from streamer.shard.surroundings import Surroundings
from streamer.sources import SecretFiles
from streamer.telemetry.board import Board
from streamer.telemetry.incidents import Incidents
from streamer.telemetry.metrics import Metrics
from streamer.web.server import WebServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from streamer.config import FlatfileSettings, Settings
    from streamer.flatfile.auth import Credentials

log = structlog.get_logger()

T = TypeVar("T")

SHUTDOWN_DEADLINE_S: Final = 20.0
"""Seconds from SIGTERM to giving up. Less than the 30 s that Kubernetes grants by default, more
than the transaction time-out (10 s), so that an open transaction can still end."""

ABANDONED_AFTER_S: Final = 3.0
"""What does not even end when it is cancelled is left behind after this time."""

COLLECT_AFTER: Final = 50_000
"""Objects more than before until Python looks for cycles. A page makes tens of thousands that live
until their commit and hold no cycle; at the default (700) looking through them again and again
costs a fifth of the CPU."""

KAFKA_RETRY_S: Final = 1.0
"""Between two attempts to reach Kafka at start."""

STARTUP_RETRY_S: Final = 2.0
"""Between two attempts to reach Flatfile at start, doubled up to `STARTUP_RETRY_AT_MOST_S`."""

STARTUP_RETRY_AT_MOST_S: Final = 30.0


class DisorderlyStopError(StreamerError):
    """The daemon stopped, but not everything ended by itself; nothing is lost or repeated."""

    def __init__(self) -> None:
        super().__init__(
            where="shutdown",
            what=f"not everything ended within {SHUTDOWN_DEADLINE_S:.0f} s",
            next_step="The next start restores from the log; look for shard.stop_forced above.",
        )


class Daemon:
    """One worker.

    Attributes:
        board: How its shards and environments are, for whoever wants to show it.
        web_url: Where health and metrics are served, once they are.
    """

    def __init__(self, settings: Settings, *, board: Board | None = None) -> None:
        self.board = board or Board()
        self.web_url: str | None = None
        self._settings = settings
        self._metrics = Metrics(self.board)
        self._incidents = Incidents(self._metrics)
        self._starting = True

    async def run(self, stop: asyncio.Event) -> None:
        """Start, work until `stop` is set, and stop in order.

        Raises:
            StreamerError: What keeps it from starting or from going on; its class knows the exit
                code.
        """
        asyncio.get_running_loop().set_exception_handler(_report_unhandled)
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
        serving = asyncio.ensure_future(self._serve(stop))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                log.info("daemon.stopping")
                if self._starting:
                    # Nothing to end in order yet, and what it waits for may never answer.
                    serving.cancel()
                await asyncio.wait({serving}, timeout=SHUTDOWN_DEADLINE_S)
            if not serving.done():
                raise DisorderlyStopError
            if not serving.cancelled():
                serving.result()
            log.info("daemon.stopped")
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            stopping.cancel()
            serving.cancel()
            await asyncio.wait({serving}, timeout=ABANDONED_AFTER_S)
            if serving.done() and not serving.cancelled():
                serving.exception()  # Retrieved: it has been raised above.

    async def _serve(self, stop: asyncio.Event) -> None:
        settings = self._settings
        async with contextlib.AsyncExitStack() as stack:
            web = WebServer(settings.web, self.board, self._metrics)
            await web.start()
            stack.push_async_callback(web.stop)
            self.web_url = web.url
            connection = Connection(settings.kafka)
            if connection.in_the_clear:
                log.warning("kafka.in_the_clear", servers=connection.servers)
            client = FlatfileClient(
                settings.flatfile,
                credentials=_credentials(settings.flatfile),
                on_request=self._incidents.request,
            )
            await stack.enter_async_context(client)
            lists = Lists(client)
            environments = Environments(lists.environments, included=settings.capture.environments)
            await self._patiently(environments.refresh)
            checked = await self._reach_kafka(lambda: topics.ensure(connection, settings.kafka))
            directory = Directory(
                lists, client, wait_s=settings.enrichment.wait, on_lookup=self._incidents.lookup
            )
            await stack.enter_async_context(directory)
            scout = Scout(
                client.events_page,
                interval_s=settings.capture.interval,
                page_size=settings.capture.page_size,
                unknown=environments.glimpse,
            )
            profile = ServerProfile(settings.capture.page_size)
            account_id = environments.account_id or ""
            privacy = Privacy(settings.privacy.personal_data, settings.privacy.key_bytes)
            told = Told(time.monotonic)
            parts = Parts(
                settings=settings,
                client=client,
                directory=directory,
                told=told,
                environments=environments,
                scout=scout,
                buffer=Buffer(settings.capture.buffer_bytes),
                profile=profile,
                board=self.board,
                incidents=self._incidents,
                privacy=privacy,
                account_id=account_id,
                writer=f"{socket.gethostname()}/{os.getpid()}",
            )
            around = Surroundings(
                settings=settings,
                connection=connection,
                topics=checked,
                limits=Limits(connection, settings.kafka, checked),
                account_id=account_id,
                start=await self._patiently(partial(_start_of, settings, client)),
                profile=profile,
                environments=environments,
                archiver=partial(Archiver, parts),
                keeper=partial(
                    _keeper,
                    keeper.Parts(
                        lists=lists,
                        told=told,
                        incidents=self._incidents,
                        privacy=privacy,
                        account_id=account_id,
                        interval_s=settings.inventory.interval,
                    ),
                    environments,
                    checked.partitions,
                ),
                board=self.board,
                incidents=self._incidents,
                privacy=privacy,
            )
            await self._work(around, scout, connection, stop)

    async def _work(
        self, around: Surroundings, scout: Scout, connection: Connection, stop: asyncio.Event
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(around.environments.run(), name="environments"),
                tasks.create_task(scout.run(), name="scout"),
                tasks.create_task(around.limits.run(), name="limits"),
            ]
            shards = Shards(around, tasks)
            membership = Membership(connection, self._settings.kafka, shards)
            shards.membership = membership
            watching.append(tasks.create_task(_raise_failure(membership), name="membership"))
            try:
                await self._reach_kafka(membership.join)
                self._starting = False
                log.info("daemon.started", web=self.web_url, account=around.account_id)
                await stop.wait()
            finally:
                for task in watching:
                    task.cancel()
                await membership.leave()
        if not shards.orderly:
            raise DisorderlyStopError

    async def _reach_kafka(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask Kafka for something at the start; a broker that starts beside us is given its time.

        Raises:
            KafkaUnreachableError: Not within the start-up time-out.
        """
        give_up_at = time.monotonic() + self._settings.kafka.startup_timeout
        while True:
            try:
                return await ask()
            except KafkaUnreachableError as error:
                if time.monotonic() + KAFKA_RETRY_S >= give_up_at:
                    raise
                log.warning("daemon.waiting_for_kafka", reason=error.what)
            await asyncio.sleep(KAFKA_RETRY_S)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask Flatfile for something without which nothing begins, however long that takes.

        Raises:
            CredentialsRefusedError: Flatfile refused the key pair or the token.
        """
        wait_s = STARTUP_RETRY_S
        while True:
            try:
                answer = await ask()
            except CredentialsRefusedError:
                raise
            except FlatfileError as error:
                self.board.trouble = "Flatfile cannot be reached"
                log.warning("daemon.waiting_for_flatfile", reason=error.what, wait_s=wait_s)
            else:
                self.board.trouble = None
                return answer
            # Told to stop, `run` cancels.
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, STARTUP_RETRY_AT_MOST_S)


def _credentials(settings: FlatfileSettings) -> Callable[[], Credentials]:
    """Read the credentials anew, because the file of a secret may have been replaced."""
    secrets = SECRET_FIELDS["flatfile"]
    files = SecretFiles(settings, prefix=f"{ENVIRONMENT_PREFIX}FLATFILE__", secrets=secrets)
    return lambda: credentials_from(files.current())


def _keeper(
    parts: keeper.Parts, environments: Environments, shards: int, shard: int
) -> keeper.Keeper | None:
    """Make what keeps the inventory of a shard, if one is kept."""
    if not parts.interval_s:
        return None

    def owns(environment_id: str) -> bool:
        return (
            environments.includes(environment_id) and partition_of(environment_id, shards) == shard
        )

    return keeper.Keeper(parts, owns=owns, has_account=shard == 0)


async def _start_of(settings: Settings, client: FlatfileClient) -> datetime | None:
    """`START` as an instant: by the server's clock where it is `now`, None for `earliest`."""
    start = settings.capture.start
    if start == "earliest":
        return None
    if start == "now":
        page = await client.events_page(PageRequest(since=None, number=1, size=1))
        return page.server_at or datetime.now(UTC)
    return datetime.fromisoformat(start)


async def _raise_failure(membership: Membership) -> None:
    await membership.failed


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to report of several: the first of ours, else the first."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, StreamerError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _report_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not was_reported(context.get("exception")):
        loop.default_exception_handler(context)
