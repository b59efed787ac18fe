"""`streamer run` that takes an end of a transaction which had to be repeated for a success.

    python -m tests.support.careless_worker

A worker goes on with a new producer then, since the first request may still be on its way. This one
goes on with the old one, as a client would that does not know of it.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from streamer import cli
from streamer.kafka.transaction import TransactionalProducer


class _Once:
    """A count of requests that is always right."""

    def __get__(self, *_: object) -> int:
        return 1

    def __set__(self, *_: object) -> None:
        """Whatever was counted."""


def main() -> NoReturn:
    """Run the daemon, which counts in vain."""
    TransactionalProducer._end_requests = _Once()  # type: ignore[assignment]
    sys.exit(cli.call(["run"]))


if __name__ == "__main__":
    main()
