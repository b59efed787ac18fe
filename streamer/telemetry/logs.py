"""Where log lines go and what they look like: JSON, or coloured text at a terminal; to stderr.

Names of environments come from the API. Whoever looks at a log does so in a terminal in the end:
what it would obey, or would not show, is written as an escape.
"""

from __future__ import annotations

import json
import logging
import re
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

_UNSEEN: Final = (
    r"\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
)
"""Controls beyond ASCII (C1), what breaks lines, and format characters: bidi, invisible, tags.
Source: Unicode Standard Annex 44, General Category."""

_IN_JSON: Final = re.compile(f"[{_UNSEEN}]")
"""JSON itself escapes the controls of ASCII but one."""

_IN_TEXT: Final = re.compile(rf"[\x00-\x1f{_UNSEEN}]")


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
        [
            _escape_values,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
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


def _escape_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Let no text of a line reach a terminal as it came."""
    return {
        key: _IN_TEXT.sub(_escaped, value) if isinstance(value, str) else value
        for key, value in event.items()
    }


def _to_json(event: EventDict, **_: object) -> bytes:
    return _to_json_text(event).encode()


def _to_json_text(event: EventDict, **_: object) -> str:
    return _IN_JSON.sub(_escaped, orjson.dumps(event, default=str).decode())


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return f"\\u{ord(character):04x}" if character <= "\uffff" else json.dumps(character)[1:-1]
