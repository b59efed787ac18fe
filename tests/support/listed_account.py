"""An account that answers each list with one page, which a test makes up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from streamer.flatfile.budget import Priority
from streamer.flatfile.lists import ENVIRONMENTS
from streamer.flatfile.objects import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from streamer.flatfile.objects import ListKey


class Page(NamedTuple):
    """What a list shows.

    Attributes:
        is_whole: Whether what is not shown is not there.
    """

    shown: Iterable[dict[str, Any]]
    is_whole: bool = True


class ListedAccount(ABC):
    """What `Lists` asks instead of the API."""

    @abstractmethod
    async def page(self, which: ListKey, *, archived: bool | None) -> Page:
        """Show a list.

        Raises:
            FlatfileError: As the API would.
        """

    async def read_list(
        self,
        which: ListKey,
        take: Callable[[Sequence[Element]], object],
        *,
        archived: bool | None = None,
        priority: Priority = Priority.INVENTORY,
    ) -> bool:
        """Read a list, as `FlatfileClient` does."""
        assert priority is Priority.INVENTORY or which == ENVIRONMENTS
        page = await self.page(which, archived=archived)
        take([Element(one["id"], msgspec.json.encode(one)) for one in page.shown])
        return page.is_whole
