"""How the help of a command looks: paragraphs and two columns, no boxes, so that it can be pasted.

Docstrings are broken for the source; here their paragraphs are filled again. Lines that are
indented, and lists, stay as they are.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts.help import HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

WIDTH: Final = 92
"""Lines are broken here at the latest, also on a wide terminal: longer ones are hard to read."""

LABELS_AT_MOST: Final = 28
"""Where the second column begins at the latest; longer labels get a line of their own."""

NARROWEST: Final = 10
"""The second column has at least so much, however narrow the terminal is."""

_GAP: Final = 2


class AlignedHelp:
    """Writes the parts of a help page; what the parser hands over is a renderable of any kind."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:  # noqa: ARG002
        """Write a panel as a heading and two columns."""
        entries = [(_label(entry), _text(entry, console)) for entry in panel.entries]
        if not entries:
            return
        column = min(max(len(label) for label, _ in entries), LABELS_AT_MOST) + 2 * _GAP
        lines = ["", f"{panel.title or 'Options'}:", ""]
        for label, text in entries:
            lines += _two_columns(label, text, column, _width(console))
        _write(console, "\n".join(lines))

    def render_usage(self, console: Console, _: ConsoleOptions, usage: object) -> None:
        """Write how the command is called."""
        text = _plain(usage, console).removeprefix("Usage:").strip()
        _write(console, f"Usage: {text}\n")

    def render_description(self, console: Console, _: ConsoleOptions, description: object) -> None:
        """Write what the command does."""
        paragraphs = _plain(description, console).split("\n\n")
        _write(console, "\n\n".join(_filled(part, _width(console)) for part in paragraphs))


def _two_columns(label: str, text: str, column: int, width: int) -> Iterator[str]:
    wrapped = textwrap.wrap(text, max(width - column, NARROWEST)) or [""]
    start = " " * _GAP + label
    if len(label) <= column - 2 * _GAP:
        start = start.ljust(column) + wrapped.pop(0)
    yield start.rstrip()
    for line in wrapped:
        yield " " * column + line


def _filled(paragraph: str, width: int) -> str:
    if any(line.startswith(" ") for line in paragraph.splitlines()):
        return paragraph
    return textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False)


def _label(entry: HelpEntry) -> str:
    return ", ".join(entry.display_labels_with_metavar)


def _text(entry: HelpEntry, console: Console) -> str:
    parts = [_plain(entry.description, console)]
    if entry.choices:
        parts.append(f"[{', '.join(entry.choices)}]")
    if entry.required:
        parts.append("[required]")
    elif entry.default not in {None, "", "()", "False"}:
        parts.append(f"[default: {entry.default}]")
    return " ".join(part for part in parts if part)


def _plain(renderable: Any, console: Console) -> str:  # noqa: ANN401
    if renderable is None:
        return ""
    wide = console.options.update_width(100_000)
    segments = console.render(renderable, wide) if not isinstance(renderable, str) else ()
    text = renderable if isinstance(renderable, str) else "".join(each.text for each in segments)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _width(console: Console) -> int:
    return min(console.width, WIDTH)


def _write(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
