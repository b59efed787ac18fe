"""The demo at a terminal: one picture that changes, and stays when it ends.

Whatever comes from the API is drawn as `Text`, which knows no markup, and was made harmless before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from streamer.broker.progress import Stage
from streamer.commands.demo_show import View
from streamer.commands.terminal import clipped

if TYPE_CHECKING:
    from rich.console import RenderableType

    from streamer.commands.demo_show import Addresses, Show

NAME_LENGTH: Final = 32
BAR_WIDTH: Final = 40
LATE_AFTER_S: Final = 30.0
"""A last poll that is longer ago than this is drawn in red."""

FEWEST_LINES: Final = 3
"""Records that are shown however small the terminal is."""


class ScreenView(View):
    """Draws on the terminal."""

    def __init__(self, show: Show, console: Console | None = None) -> None:
        self._show = show
        self._console = console or Console(highlight=False, markup=False)
        self._spinner = Spinner("dots")
        self._live = Live(
            console=self._console, auto_refresh=False, vertical_overflow="crop", transient=False
        )

    @override
    def begin(self) -> None:
        self._live.start()

    @override
    def end(self) -> None:
        self._spinner.update(text="")
        self._live.update(self._picture(running=False), refresh=True)
        self._live.stop()

    @override
    def draw(self) -> None:
        self._live.update(self._picture(running=True), refresh=True)

    def _picture(self, *, running: bool) -> RenderableType:
        show = self._show
        parts: list[RenderableType] = [self._head(running=running)]
        if show.addresses is not None:
            parts.append(_addresses(show.addresses, show.metrics_url))
        if show.feed.environments or show.board.environments:
            parts += [Text(), self._environments()]
        parts += [Text(clipped(trouble), style="yellow") for trouble in show.troubles]
        used = sum(len(self._console.render_lines(part)) for part in parts)
        room = max(FEWEST_LINES, self._console.height - used - 3)
        if show.feed.lines:
            parts.append(Text())
        for line in list(show.feed.lines)[-room:]:
            said = Text.assemble((f"{line.at:%H:%M:%S}  ", "dim"), line.said)
            said.truncate(self._console.width, overflow="ellipsis")
            parts.append(said)
        return Group(*parts)

    def _head(self, *, running: bool) -> RenderableType:
        show = self._show
        title = Text.assemble(("streamer demo", "bold"), "  ", show.stage_in_words())
        broker = show.broker
        if broker is not None and broker.stage is Stage.FETCHING and broker.files_total:
            bar = ProgressBar(broker.files_total, broker.files_done, width=BAR_WIDTH)
            return Group(title, bar)
        if running and not show.feed.records:
            self._spinner.update(text=title)
            return self._spinner
        return title

    def _environments(self) -> Table:
        table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
        table.add_column("environment")
        for column in ("records", "a second", "last poll", "sequence"):
            table.add_column(column, justify="right")
        show, now_s = self._show, time.monotonic()
        names = {key: status.name for key, status in list(show.board.environments.items())}
        names |= {key: feed.name for key, feed in show.feed.environments.items()}
        for key, name in sorted(names.items(), key=lambda item: item[1]):
            feed = show.feed.environments.get(key)
            status = show.board.environments.get(key)
            since_s = None if status is None else status.since_poll_s
            table.add_row(
                Text(clipped(name or key, NAME_LENGTH)),
                f"{feed.records:,}" if feed else "0",
                f"{feed.rate(now_s):,.1f}" if feed else "0.0",
                Text("-") if since_s is None else _since(since_s),
                f"{feed.sequence:,}" if feed else "0",
            )
        return table


def _since(seconds: float) -> Text:
    return Text(f"{seconds:.1f} s ago", style="red" if seconds > LATE_AFTER_S else "green")


def _addresses(addresses: Addresses, metrics_url: str | None) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text("Kafka", style="dim"), Text(addresses.kafka))
    table.add_row(Text("Flatfile", style="dim"), Text(addresses.flatfile))
    if metrics_url is not None:
        table.add_row(Text("metrics", style="dim"), Text(metrics_url))
    return table
