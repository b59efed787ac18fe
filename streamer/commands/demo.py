"""`streamer demo`: a made-up account, a real Kafka and the daemon in one, live on screen.

Nothing of it touches what is configured: it has settings of its own, its data lies in a temporary
folder, and all of that is gone at the end. What it shows of records was read from Kafka, and at the
end it reads everything back and says whether the promises hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter, validators
from pydantic import SecretStr

from streamer.broker.local import LocalBroker
from streamer.commands.demo_lines import LineView
from streamer.commands.demo_sandbox import sandbox_process
from streamer.commands.demo_screen import ScreenView
from streamer.commands.demo_show import Addresses, Show
from streamer.commands.proving import verdict
from streamer.commands.quiet import hand_over_warnings
from streamer.commands.stopping import stop_on_signals, unless_stopped
from streamer.commands.terminal import INTERRUPTED, is_terminal
from streamer.config import FlatfileSettings, KafkaSettings, Settings, WebSettings
from streamer.daemon import Daemon
from streamer.kafka import topics
from streamer.kafka.client import Connection
from streamer.kafka.reader import LogReader
from streamer.proof.reading import verified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from streamer.commands.demo_show import View


KEY: Final = "sandbox"
"""Client id and secret of every sandbox."""

TICK_S: Final = 0.2
"""Between two pictures."""

_POSITIVE: Final = Parameter(validator=validators.Number(gt=0))
_NOT_NEGATIVE: Final = Parameter(validator=validators.Number(gte=0))


async def demo(
    *,
    seconds: Annotated[float | None, _POSITIVE] = None,
    environments: Annotated[int, _POSITIVE] = 3,
    events: Annotated[int, _NOT_NEGATIVE] = 2000,
    rate: Annotated[float, _NOT_NEGATIVE] = 5.0,
) -> int:
    """Watch it work: a made-up Flatfile account, a real Apache Kafka, and the daemon in between.

    Needs nothing but Python; the first time, Apache Kafka is fetched (45 MB). It ends with Ctrl-C,
    or by itself after --seconds; then it reads the topic back and says whether every record is
    there, in order, once and unaltered. Exit code 0 only if so, 5 if not. Its data is removed.

    Args:
        seconds: End after so many seconds, counted from when the daemon starts.
        environments: How many environments the account has.
        events: Events that happened before the start, over all environments together.
        rate: Events that happen per second from then on.
    """
    stop = stop_on_signals()
    show = Show()
    hand_over_warnings(show.troubles.append)
    options = {"port": 0, "environments": environments, "events": events, "rate": rate}
    view = ScreenView(show) if is_terminal() else LineView(show)
    with tempfile.TemporaryDirectory(prefix="streamer-demo-") as folder:
        async with contextlib.AsyncExitStack() as stack, _drawn(view, stop):
            broker = LocalBroker(Path(folder) / "broker", on_progress=show.on_broker_progress)
            stack.push_async_callback(broker.stop)
            url = await unless_stopped(stop, _start(stack, broker, options))
            if url is None:
                return INTERRUPTED
            settings = _settings(url, broker.bootstrap_servers)
            await _publish(settings, show, stop, seconds)
            show.stage = "reading everything back"
            proof = await verified(Connection(settings.kafka), settings.kafka)
            show.stage = "ended"
    sys.stdout.write(f"{verdict(proof, settings.kafka.audit_topic)}\n")
    return 0


@contextlib.asynccontextmanager
async def _drawn(view: View, stop: asyncio.Event) -> AsyncIterator[None]:
    """Draw for the time of the block. Where nobody can see it any more, the demo ends."""

    async def draw() -> None:
        while True:
            view.draw()
            await asyncio.sleep(TICK_S)

    with view:
        drawing = asyncio.create_task(draw(), name="view")
        drawing.add_done_callback(lambda _: stop.set())
        try:
            yield
        finally:
            drawing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await drawing


async def _start(
    stack: contextlib.AsyncExitStack, broker: LocalBroker, options: Mapping[str, object]
) -> str:
    """Start account and broker beside each other, and return the account's URL."""
    account = sandbox_process(options)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(broker.start(), name="broker")
        url = tasks.create_task(stack.enter_async_context(account), name="sandbox")
    return url.result()


def _settings(url: str, servers: str) -> Settings:
    """Settings that no variable of the environment reaches."""
    return Settings.model_construct(
        flatfile=FlatfileSettings(api_url=url, client_id=KEY, secret=SecretStr(KEY)),
        kafka=KafkaSettings(bootstrap_servers=(servers,)),
        web=WebSettings(port=0),
    )


async def _publish(
    settings: Settings, show: Show, stop: asyncio.Event, seconds: float | None
) -> None:
    show.stage = "making the topics"
    show.addresses = Addresses(settings.kafka.bootstrap_servers[0], settings.flatfile.api_url)
    connection = Connection(settings.kafka)
    made = await topics.ensure(connection, settings.kafka)
    show.daemon = daemon = Daemon(settings, board=show.board)
    async with LogReader(connection) as reader, asyncio.TaskGroup() as tasks:
        starts = dict.fromkeys(range(made.partitions), 0)
        feed = show.feed.follow(reader, settings.kafka.audit_topic, starts)
        following = tasks.create_task(feed, name="feed")
        show.stage = "publishing; Ctrl-C ends it and proves what was published"
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, stop.set)
        try:
            await daemon.run(stop)
        finally:
            following.cancel()
