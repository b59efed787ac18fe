"""Records on standard output: as lines for people, or as their bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, Protocol

from streamer.audit.sentence import sentence
from streamer.commands.tail_filter import happened_at, part
from streamer.commands.terminal import NAME_LENGTH, clipped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from streamer.commands.tail_filter import Record

_NO_TIME: Final = "no time             "


class Printable(Protocol):
    """A record to be printed."""

    @property
    def value(self) -> bytes:
        """Its bytes, as they lie in the topic."""

    @property
    def record(self) -> Record | None:
        """Its members; None if it cannot be read."""

    @property
    def place(self) -> str:
        """Where it is found, if nothing else can be said of it."""


class Printer:
    """Writes records to standard output.

    Attributes:
        printed: How many.
    """

    def __init__(self, *, in_json: bool) -> None:
        self.printed = 0
        self._in_json = in_json
        self._name_width = 0

    def write(self, batch: Iterable[Printable]) -> None:
        """Write these, and let nobody wait for them."""
        for each in batch:
            self.printed += 1
            if self._in_json:
                sys.stdout.buffer.write(each.value + b"\n")
            else:
                sys.stdout.write(f"{self._line(each)}\n")
        sys.stdout.flush()

    def _line(self, printable: Printable) -> str:
        record = printable.record
        if record is None:
            return f"{_NO_TIME}  a record that cannot be shown ({printable.place})"
        environment = part(record, "environment")
        name = clipped(str(environment.get("name") or environment.get("id") or "-"), NAME_LENGTH)
        self._name_width = max(self._name_width, len(name))
        # The environment has its own column: the sentence need not name it again.
        said = clipped(sentence({**record, "environment": {}}))
        return f"{_when(happened_at(record))}  {name:<{self._name_width}}  {said}"


def _when(at: datetime | None) -> str:
    return _NO_TIME if at is None else f"{at:%Y-%m-%d %H:%M:%S}Z"
