"""Where log lines go and what they look like: JSON, or coloured text at a terminal; to stderr."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Final

import orjson
import structlog
from typing_extensions import override

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

    from streamer.config import LogSettings

REPEATED_WITHIN_S: Final = 10.0
"""A library's line that comes again within this time is counted, not written: aiokafka reports
every failed reconnect, dozens a second while a broker is away."""


def configure(settings: LogSettings) -> None:
    """Set up structlog, and route the standard library's logging through it.

    Libraries stay at WARNING whatever the level is: aiokafka logs keys and values at DEBUG.
    Exceptions are rendered without local variables, which hold tokens.
    """
    as_text = (settings.format or ("console" if sys.stderr.isatty() else "json")) == "console"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if as_text
        else [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(serializer=_to_json),
        ]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.upper()]
        ),
        logger_factory=(
            structlog.PrintLoggerFactory(sys.stderr)
            if as_text
            else structlog.BytesLoggerFactory(sys.stderr.buffer)
        ),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(rendering[:-1]),
                structlog.processors.JSONRenderer(serializer=_to_json_text)
                if not as_text
                else rendering[-1],
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


class _Repeats(logging.Filter):
    """Lets a line pass once in a while, and says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        line = (record.name, str(record.msg))
        passed_at, left_out = self._seen.get(line, (float("-inf"), 0))
        now = time.monotonic()
        if now - passed_at < REPEATED_WITHIN_S:
            self._seen[line] = (passed_at, left_out + 1)
            return False
        self._seen[line] = (now, 0)
        record.repeated = left_out
        return True


def _name_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Give a library's line the form of ours: a constant event, its text as a key."""
    record: logging.LogRecord = event["_record"]
    event["text"] = event["event"]
    event["event"] = "library.reported"
    event["library"] = record.name.partition(".")[0]
    if repeated := getattr(record, "repeated", 0):
        event["repeated"] = repeated
    return event


def _to_json(event: EventDict, **_: object) -> bytes:
    return orjson.dumps(event, default=str)


def _to_json_text(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
