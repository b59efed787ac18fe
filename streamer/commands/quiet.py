"""Silence for the commands that say themselves, in a sentence, what went wrong."""

from __future__ import annotations

import logging

import structlog


def silence_logs() -> None:
    """Write no log line, neither ours nor those of libraries.

    The libraries' reasons still reach whoever listens to their loggers.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    logging.getLogger().handlers[:] = [logging.NullHandler()]
