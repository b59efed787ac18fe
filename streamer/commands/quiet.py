"""Silence for the commands that say themselves, in a sentence, what went wrong.

And for the demo, whose picture no log line may tear: it is handed what somebody should know.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NoReturn

import structlog
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, WrappedLogger


def silence_logs() -> None:
    """Write no log line, neither ours nor those of libraries.

    The libraries' reasons still reach whoever listens to their loggers.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    logging.getLogger().handlers[:] = [logging.NullHandler()]


def hand_over_warnings(take: Callable[[str], None]) -> None:
    """Write no log line, but hand over warnings and errors in words.

    Of libraries only errors: aiokafka warns of every step of a start.
    """

    def hand_over(_: WrappedLogger, level: str, event: EventDict) -> NoReturn:
        name = event.pop("event")
        event.pop("exc_info", None)
        take(f"{level} {name} " + " ".join(f"{key}={value}" for key, value in event.items()))
        raise structlog.DropEvent

    structlog.configure(
        processors=[hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    logging.getLogger().handlers[:] = [_HandOver(take)]


class _HandOver(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__(level=logging.ERROR)
        self._take = take

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("aiokafka"):
            self._take(f"error {record.name} {record.getMessage()}")
