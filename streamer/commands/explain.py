"""`streamer check --explain`: how this server behaves, and what `run` will therefore do."""

from __future__ import annotations

import statistics
import sys
import textwrap
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Final

from streamer.commands import explain_words as words
from streamer.commands.terminal import a_few
from streamer.errors import FlatfileError
from streamer.flatfile.client import FlatfileClient
from streamer.flatfile.survey import Surveyor
from streamer.flatfile.transport import Patience

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.commands.verdicts import Verdicts
    from streamer.config import Settings
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.models import Environment
    from streamer.flatfile.pages import Page

SUBJECTS: Final = ("order", "page size", "since", "backlog", "rate limit")
"""What the lines are about."""

PATIENCE: Final = Patience(connect_s=5, silence_s=20, total_s=60, attempts=4, longest_wait_s=30)
"""More than `check` has: a server that says "later" tells something by it."""

_WIDTH: Final = 92
_INDENT: Final = "  "


class Tally:
    """How the requests ended, and how long pages took.

    Attributes:
        outcomes: Attempts by how they ended.
        is_page: Whether a page is asked for at present, and not a single event.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.is_page = False
        self._pages_s: list[float] = []

    def note(self, _operation: str, outcome: str, duration_s: float) -> None:
        """Count one attempt."""
        self.outcomes[outcome] += 1
        if self.is_page and outcome == "ok":
            self._pages_s.append(duration_s)

    @property
    def requests(self) -> int:
        """All that were sent."""
        return self.outcomes.total()

    @property
    def page_s(self) -> float:
        """What a page takes, in the median."""
        return statistics.median(self._pages_s or [0.0])


async def explain(
    settings: Settings, environments: Sequence[Environment], verdicts: Verdicts
) -> None:
    """Write a line for each thing that can be seen, and what follows from it.

    Args:
        settings: Those of `run`.
        environments: Those that it will read; at least one.
        verdicts: Where the lines go.
    """
    tally = Tally()
    client = FlatfileClient(settings.flatfile, patience=PATIENCE, on_request=tally.note)

    async def fetch(request: PageRequest, environment_id: str | None) -> Page:
        tally.is_page = request.size > 1
        return await client.events_page(request, environment_id)

    start = settings.capture.start
    try:
        async with client:
            await client.authenticate()
            survey = await Surveyor(fetch, page_size=settings.capture.page_size).look(
                [each.id for each in environments],
                start=None if start in {"earliest", "now"} else datetime.fromisoformat(start),
                backlog=start != "now",
            )
    except FlatfileError as error:
        verdicts.failed("order", error)
        for subject in SUBJECTS[1:]:
            verdicts.skipped(subject, "not looked at: see order")
        return
    names = {each.id: each.name or each.id for each in environments}
    seen = a_few([names[each] for each in survey.looked_at])
    _heading(f"How this server behaves, seen from {tally.requests} requests about {seen}:")
    words.write_order(survey, verdicts)
    words.write_page_size(survey, verdicts)
    words.write_since(survey, verdicts)
    words.write_backlog(survey, settings.capture, len(environments), verdicts)
    if survey.closed:
        closed = a_few([names[each] for each in survey.closed])
        verdicts.warn("backlog", f"without {closed}: not for these credentials (403 or 404)")
    words.write_rate(
        tally.outcomes["throttled"], tally.requests, client.budget.rate, tally.page_s, verdicts
    )
    _heading("What `run` will therefore do:")
    for sentence in words.consequences(survey, settings.capture, len(environments), tally.page_s):
        sys.stdout.write(
            textwrap.fill(
                sentence,
                _WIDTH,
                initial_indent=_INDENT,
                subsequent_indent=_INDENT,
                break_on_hyphens=False,
            )
            + "\n"
        )


def _heading(text: str) -> None:
    sys.stdout.write(f"\n{text}\n\n")
