"""One look through the days before what a cursor remembers, for what was erased or came very late.

Beside the cursor, not of it: it hands out only what is older than everything that the cursor still
takes, so the two cannot hand out the same, and neither has to wait for the other.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from streamer.capture.position import Capture, Position, Reading
from streamer.capture.sieve import Excluded, PendingSieve
from streamer.flatfile.listing import Scope
from streamer.flatfile.pages import Page
from streamer.flatfile.walk import walk

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import datetime

    from streamer.capture.seen import Seen
    from streamer.flatfile.listing import FetchPage
    from streamer.flatfile.server_profile import ServerProfile


class DeepSweep:
    """A look at what was created from one moment on, up to another one.

    Attributes:
        begun_at: The server's time when it began, once it was completed.
    """

    def __init__(
        self,
        seen: Seen,
        profile: ServerProfile,
        *,
        start: datetime,
        before: datetime,
        exclude_topics: Sequence[str] = (),
    ) -> None:
        """Look at nothing yet.

        Args:
            seen: What was published of what was created in between.
            profile: Of the server.
            start: Nothing older is handed out.
            before: Nor what was created then or later.
            exclude_topics: Nor what has one of these topics.
        """
        self.begun_at: datetime | None = None
        self._profile = profile
        self._start: Final = start
        self._before: Final = before
        self._sieve = _BetweenSieve(seen, Excluded(exclude_topics), start, before)

    async def look(self, fetch: FetchPage) -> AsyncGenerator[Capture, None]:
        """Read once through it. Each capture must be `confirm`ed before the next one is asked for.

        Close it (`contextlib.aclosing`) when leaving early. Whatever `fetch` raises comes out.
        """
        scope = Scope(self._start, steady=True)
        async with aclosing(walk(fetch, self._profile, scope, self._sieve)) as batches:
            async for batch in batches:
                if batch.found:
                    traces = self._sieve.traces(batch.found)
                    yield Capture(batch.found, traces, Position(), batch.begun_at, batch.more)
                is_past = batch.proved is not None and batch.proved >= self._before
                if batch.complete or is_past:
                    self.begun_at = batch.begun_at
                    return

    def confirm(self, capture: Capture) -> None:
        """Know that a capture is published."""
        self._sieve.settle(capture.traces, None)


class _BetweenSieve(PendingSieve):
    """Lets through only what was created from one moment on, up to another one.

    What does not say when that was is left to other looks, and so is what has no id: the log knows
    it by a digest that is another one under another policy on personal data.
    """

    def __init__(self, seen: Seen, excluded: Excluded, start: datetime, before: datetime) -> None:
        super().__init__(seen, excluded)
        self._start = start
        self._before = before

    @override
    def sift(self, page: Page, times: list[datetime]) -> list[Reading]:
        between = [
            (row, moment)
            for row, moment in zip(page.rows, page.times, strict=True)
            if row.id and moment is not None and self._start <= moment < self._before
        ]
        moments = [moment for _, moment in between]
        rows = [row for row, _ in between]
        return super().sift(Page(rows, [*moments], page.server_at, page.size_bytes), moments)
