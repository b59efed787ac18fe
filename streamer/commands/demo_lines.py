"""The demo away from a terminal: plain lines, few enough to be read."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from streamer.broker.progress import Stage
from streamer.commands.demo_show import View
from streamer.commands.terminal import clipped, counted

if TYPE_CHECKING:
    from streamer.commands.demo_show import Show

EVERY_S: Final = 1.0
"""Between two reports of what was published."""

SENTENCES: Final = 5
"""Of the newest records, with each report."""


class LineView(View):
    """Writes to standard output."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._stage = ""
        self._said_where = False
        self._records = 0
        self._reported_at_s = float("-inf")

    @override
    def end(self) -> None:
        self._report()

    @override
    def draw(self) -> None:
        # Fetching changes with every file: one line says that it goes on.
        broker = self._show.broker
        fetching = broker is not None and broker.stage is Stage.FETCHING
        stage = broker.stage.value if broker and fetching else self._show.stage_in_words()
        if stage != self._stage:
            self._stage = stage
            _line(f"{stage[0].upper()}{stage[1:]}.")
        addresses = self._show.addresses
        if addresses is not None and self._show.metrics_url and not self._said_where:
            self._said_where = True
            _line(f"Kafka: {addresses.kafka}")
            _line(f"Flatfile: {addresses.flatfile}")
            _line(f"Metrics: {self._show.metrics_url}")
        while self._show.troubles:
            sys.stderr.write(f"{clipped(self._show.troubles.popleft())}\n")
        if time.monotonic() - self._reported_at_s >= EVERY_S:
            self._report()

    def _report(self) -> None:
        feed = self._show.feed
        new = feed.records - self._records
        if not new:
            return
        self._records = feed.records
        self._reported_at_s = time.monotonic()
        for line in list(feed.lines)[-min(new, SENTENCES) :]:
            _line(f"{line.at:%H:%M:%S}  {line.said}")
        records = counted(feed.records, "record")
        environments = counted(len(feed.environments), "environment")
        _line(f"{new:,} more: {records} in {environments} so far.")


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
