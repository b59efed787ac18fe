"""A list other than events, from its first page to its last, whatever the server's page size is."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from streamer.errors import AnswerTooLargeError, FlatfileAnswerError
from streamer.flatfile.envelope import LARGE_BODY_BYTES, data_of
from streamer.flatfile.objects import (
    Element,
    ListKey,
    ListPage,
    Pagination,
    read_page,
    read_pagination,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streamer.flatfile.transport import Answer, Call, Reader

PAGE_SIZE: Final = 100
"""Asked for at first; a server may give fewer at once."""

AGENTS_PAGE_SIZE: Final = 20
"""Each comes with its source, which can be megabytes. The API's own default, too."""

FEWER: Final = 4
"""A list with a page that is too large is read again in pages of so many times fewer objects."""

MOST_PAGES: Final = 10_000
"""A list that goes on after this is not a list."""

Fetch: TypeAlias = "Callable[[Call], Awaitable[tuple[ListPage, Pagination]]]"


async def read_to_end(
    which: ListKey,
    call: Callable[[int, int], Call],
    fetch: Fetch,
    take: Callable[[Sequence[Element]], object],
) -> bool:
    """Read a list.

    Args:
        which: The list.
        call: Makes the request for a page, by its size and its number.
        fetch: Sends one.
        take: Is handed the objects of each page as it comes, none of them twice.

    Returns:
        Whether that was all of it: what was not handed over is not there.

    Raises:
        FlatfileError: It could not be read to its end.
    """
    handed: set[str] = set()

    def take_new(elements: Sequence[Element]) -> None:
        take([one for one in elements if one.id not in handed])
        handed.update(one.id for one in elements)

    size = AGENTS_PAGE_SIZE if which.kind == "agent" else PAGE_SIZE
    while True:
        try:
            return await _walk(which, partial(call, size), fetch, take_new)
        except AnswerTooLargeError:
            if size == 1 or which.kind == "guest":  # That one has no pages.
                raise
            size = max(1, size // FEWER)


async def _walk(
    which: ListKey,
    call: Callable[[int], Call],
    fetch: Fetch,
    take: Callable[[Sequence[Element]], None],
) -> bool:
    """Read a list in pages of one size.

    A short page is not the last one, since a server may give fewer than asked for. The last one is
    the one that the answer says is the last, or the one before an empty one or before one that
    brings nothing new (of a server that ignores the page's number).
    """
    found: set[str] = set()
    ignored, is_sound = 0, True
    for number in range(1, MOST_PAGES + 1):
        page, pagination = await fetch(call(number))
        fresh = {one.id: one for one in page.elements if one.id not in found}
        take([*fresh.values()])
        found |= fresh.keys()
        ignored += page.ignored
        is_sound = is_sound and page.is_sound
        is_last = not fresh or pagination.ends_with(page=number, items=len(found))
        if is_last or which.kind == "guest":
            return is_sound and pagination.has_all(len(found) + ignored)
    raise FlatfileAnswerError(
        where=call(1).where,
        what=f"more than {MOST_PAGES:,} pages",
        next_step="It is asked for again; if it stays so, look at what answers there.",
    )


def list_reader(which: ListKey) -> Reader[tuple[ListPage, Pagination]]:
    """Return a reader of a list's pages. Without `data` all objects would seem to have vanished."""

    async def read(answer: Answer) -> tuple[ListPage, Pagination]:
        if which.kind == "agent" and data_of(answer.body) in {b"", b"null"}:
            return ListPage([], 0, is_sound=True), Pagination()
        if len(answer.body) > LARGE_BODY_BYTES:  # Agents with much source: not in the event loop.
            return await asyncio.to_thread(_read, answer.body)
        return _read(answer.body)

    return read


def _read(body: bytes) -> tuple[ListPage, Pagination]:
    return read_page(body), read_pagination(body)
