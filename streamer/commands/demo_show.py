"""What there is to see of a demo, and what shows it: at a terminal, or as plain lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from streamer.broker.progress import Progress, Stage
from streamer.commands.demo_feed import Feed
from streamer.telemetry.board import Board

if TYPE_CHECKING:
    from streamer.daemon import Daemon


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of the demo answer."""

    kafka: str
    flatfile: str


@dataclass(slots=True)
class Show:
    """Everything that a view draws; written by the demo, read by the view.

    Attributes:
        stage: What the demo is at, in words.
        broker: Where the start of Kafka stands, as long as it does not answer.
        addresses: Once there are any.
        daemon: Once it has been made; it knows where its metrics are.
        troubles: The last warnings and errors that were logged.
    """

    stage: str = "starting"
    broker: Progress | None = None
    addresses: Addresses | None = None
    daemon: Daemon | None = None
    board: Board = field(default_factory=Board)
    feed: Feed = field(default_factory=Feed)
    troubles: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def metrics_url(self) -> str | None:
        """Where the daemon's metrics are, once they are."""
        if self.daemon is None or self.daemon.web_url is None:
            return None
        return f"{self.daemon.web_url}/metrics"

    def on_broker_progress(self, progress: Progress) -> None:
        """Take note of where the start of Kafka stands."""
        self.broker = progress

    def stage_in_words(self) -> str:
        """What the demo is at, with numbers where there are any."""
        broker = self.broker
        if broker is None or broker.stage is Stage.READY:
            return self.stage
        if broker.stage is Stage.FETCHING:
            megabytes = broker.fetched_bytes / 1_000_000
            files = f"{broker.files_done} of {broker.files_total} files, {megabytes:.1f} MB"
            return f"{broker.stage.value}: {files}"
        return broker.stage.value


class View(ABC):
    """Shows a demo, from its beginning to its end. Use it as a context manager."""

    def __enter__(self) -> Self:
        self.begin()
        self.draw()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:  # noqa: B027 - not every view has something to begin
        """Take what showing needs."""

    @abstractmethod
    def draw(self) -> None:
        """Show how it is now; called several times a second."""

    @abstractmethod
    def end(self) -> None:
        """Give it back; what was shown last stays."""
