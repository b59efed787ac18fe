"""The lines of a command that judges: what was looked at, whether it is right, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from streamer.commands.terminal import shown

if TYPE_CHECKING:
    from streamer.errors import StreamerError

_MARKS: Final = {"ok": ("✓", "ok", "green"), "warning": ("!", "warning", "yellow")}
_FAILED: Final = ("✗", "FAILED", "bold red")
_WORD_WIDTH: Final = len("warning")


class Verdicts:
    """Writes a line for each look: a mark and colour at a terminal, plain words elsewhere.

    Attributes:
        failures: What was wrong, in this order.
    """

    def __init__(self, *subjects: str) -> None:
        self.failures: list[StreamerError] = []
        self._width = max(map(len, subjects), default=0)
        self._console = Console(highlight=False, markup=False, soft_wrap=True)

    def ok(self, subject: str, text: str) -> None:
        """It is as it must be."""
        self._write(_MARKS["ok"], subject, text)

    def warn(self, subject: str, text: str) -> None:
        """It works, but somebody should know."""
        self._write(_MARKS["warning"], subject, text)

    def failed(self, subject: str, error: StreamerError) -> None:
        """It is not as it must be; the error says what to do."""
        self.failures.append(error)
        is_said = error.where.removeprefix("topic ") == subject
        self._write(_FAILED, subject, f"{error.what}. {error.next_step}" if is_said else str(error))

    def skipped(self, subject: str, because: str) -> None:
        """It could not be looked at, because of something that is said above."""
        self._write(("-", "-", "dim"), subject, because)

    def _write(self, mark: tuple[str, str, str], subject: str, text: str) -> None:
        sign, word, style = mark
        drawn = sign if self._console.is_terminal else word.ljust(_WORD_WIDTH)
        self._console.print(
            Text.assemble((drawn, style), f"  {subject:<{self._width}}  {shown(text)}")
        )
