"""The Flatfile API as streamer uses it: pages of events, lists, single objects.

Ids come from the API and are hostile until they match a pattern; none that does not ever gets into
a URL. Every list is walked to its end whatever the server's page size is. Nothing is cached.
"""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Final, Self, TypeVar

from streamer.errors import FlatfileAnswerError
from streamer.flatfile.auth import (
    AuthAnswer,
    Authenticator,
    Credentials,
    KeyPair,
    auth_request,
    credentials_from,
    read_answer,
)
from streamer.flatfile.budget import Priority, RateBudget
from streamer.flatfile.calls import call_for_one, checked_id, list_call
from streamer.flatfile.envelope import data_of
from streamer.flatfile.list_pages import list_reader, read_to_end
from streamer.flatfile.models import Agent, Environment, Guest, Space, User
from streamer.flatfile.objects import (
    Element,
    ListKey,
    ListPage,
    Pagination,
    read_element,
)
from streamer.flatfile.pages import parse_beginning, parse_clean_page, parse_hostile_page
from streamer.flatfile.proxies import proxy_for
from streamer.flatfile.rows import read_row
from streamer.flatfile.transport import Answer, Call, OnRequest, Patience, Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from streamer.config import FlatfileSettings
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.models import Row
    from streamer.flatfile.pages import Page

BEGINNING_BYTES: Final = 1024 * 1024
"""What is kept of a single event that is larger than any answer may be."""

_AGAIN: Final = "It is asked for again; if it stays so, look at what answers there."

T = TypeVar("T", Agent, Environment, Guest, Space, User)


def _count_nothing(operation: str, outcome: str, duration_s: float) -> None:
    """Stand in for metrics."""


class FlatfileClient:
    """One account. Use as an async context manager.

    Every method raises CredentialsRefusedError, FlatfileForbiddenError, FlatfileNotFoundError,
    FlatfileAnswerError (no retry will mend it), or FlatfileUnavailableError (all attempts failed).

    Attributes:
        budget: The rate budget of all its requests.
    """

    def __init__(
        self,
        settings: FlatfileSettings,
        *,
        credentials: Callable[[], Credentials] | None = None,
        budget: RateBudget | None = None,
        patience: Patience | None = None,
        on_request: OnRequest = _count_nothing,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Create a client; nothing is sent before the first call.

        Args:
            settings: Where the account is.
            credentials: Reads them anew, at every renewal and after a 401; by default they are
                those of the settings.
            budget: A rate budget to share.
            patience: Time-outs and repetitions.
            on_request: Told after each attempt: operation, outcome, seconds.
            tls: Authorities to trust other than the system's.
        """
        self.budget = budget or RateBudget()
        self._transport = Transport(
            api_url=settings.api_url,
            proxy=proxy_for(settings.api_url),
            tls=tls,
            max_body_bytes=settings.max_body_bytes,
            budget=self.budget,
            patience=patience or Patience(),
            on_request=on_request,
        )
        self._auth = Authenticator(
            credentials=credentials or (lambda: credentials_from(settings)),
            exchange=self._exchange,
        )

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._transport.close()

    async def authenticate(self) -> None:
        """Obtain a token if there is none, so that refused credentials show early.

        A personal access token is not checked by this; `environments` does.
        """
        await self._auth.token()

    async def events_page(
        self,
        request: PageRequest,
        environment_id: str | None = None,
        priority: Priority = Priority.LIVE,
    ) -> Page:
        """Return one page of `GET /events`, acknowledged events included.

        A single event that is larger than `MAX_BODY_BYTES` comes as a BrokenEvent: its beginning.
        A page of several raises AnswerTooLargeError: ask for fewer.

        Args:
            request: Which one.
            environment_id: Whose events; None: those of all environments at once.
            priority: What the request is for.
        """
        where = "GET /events"
        query = {
            "pageSize": str(request.size),
            "pageNumber": str(request.number),
            "includeAcknowledged": "true",
        }
        if environment_id is not None:
            query["environmentId"] = checked_id(where, environment_id)
        if request.since is not None:
            query["since"] = _instant(request.since)
        # What cannot be asked for in smaller pieces is known by its beginning.
        beginning_bytes = BEGINNING_BYTES if request.size == 1 else 0
        call = Call(
            "list_events", where, "/events", query, priority, beginning_bytes=beginning_bytes
        )
        return await self._transport.get(call, self._auth, _read_page)

    async def environments(self, priority: Priority = Priority.LIVE) -> list[Environment]:
        """Return all environments of the account."""
        found: list[Element] = []
        await self.read_list(ListKey("environment"), found.extend, priority=priority)
        views = (read_element(element.raw, Environment) for element in found)
        return [view for view in views if view is not None]

    async def read_list(
        self,
        which: ListKey,
        take: Callable[[Sequence[Element]], object],
        *,
        archived: bool | None = None,
        priority: Priority = Priority.INVENTORY,
    ) -> bool:
        """Read a list to its end.

        Args:
            which: The list.
            take: Is handed the objects of each page as it comes, none of them twice.
            archived: Of spaces: the archived ones alone, or none of them; None: as the API has it.
            priority: What the requests are for.

        Returns:
            Whether that was all of it: what was not handed over is not there.
        """
        read = list_reader(which)

        async def fetch(call: Call) -> tuple[ListPage, Pagination]:
            return await self._transport.get(call, self._auth, read)

        call = list_call(which, archived=archived, priority=priority)
        return await read_to_end(which, call, fetch, take)

    async def user(self, user_id: str) -> User:
        """Return one user."""
        return await self._one("get_user", "GET /users/{id}", user_id, User)

    async def guest(self, guest_id: str) -> Guest:
        """Return one guest."""
        return await self._one("get_guest", "GET /guests/{id}", guest_id, Guest)

    async def agent(self, agent_id: str, environment_id: str) -> Agent:
        """Return one agent of an environment."""
        where = "GET /agents/{id}"
        query = {"environmentId": checked_id(where, environment_id)}
        return await self._one("get_agent", where, agent_id, Agent, query)

    async def space(self, space_id: str) -> Space:
        """Return one space."""
        return await self._one("get_space", "GET /spaces/{id}", space_id, Space)

    async def event(self, event_id: str) -> Row:
        """Return one event, as a page would have it."""
        call = call_for_one("get_event", "GET /events/{id}", event_id, {})
        return await self._transport.get(call, self._auth, _read_event)

    async def _one(
        self,
        operation: str,
        where: str,
        object_id: str,
        kind: type[T],
        query: Mapping[str, str] | None = None,
    ) -> T:
        async def read(answer: Answer) -> T:
            found = read_element(data_of(answer.body) or answer.body, kind)
            if found is None:
                raise FlatfileAnswerError(
                    where=where, what="not the object that was asked for", next_step=_AGAIN
                )
            return found

        call = call_for_one(operation, where, object_id, query or {})
        return await self._transport.get(call, self._auth, read)

    async def _exchange(self, pair: KeyPair) -> AuthAnswer:
        async def read(answer: Answer) -> AuthAnswer:
            return read_answer(answer.body, answer.server_at)

        body = auth_request(pair)
        call = Call("authenticate", "POST /auth", "/auth", {}, Priority.LIVE, json=body)
        return await self._transport.authenticate(call, read)


def _instant(moment: datetime) -> str:
    exactly = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=exactly).replace("+00:00", "Z")


async def _read_page(answer: Answer) -> Page:
    if not answer.is_whole:
        return await asyncio.to_thread(parse_beginning, answer.body, answer.server_at)
    page = parse_clean_page(answer.body, answer.server_at)
    if page is None:  # May take seconds if it is made for that: not in the event loop.
        page = await asyncio.to_thread(parse_hostile_page, answer.body, answer.server_at)
    return page


async def _read_event(answer: Answer) -> Row:
    return await asyncio.to_thread(read_row, data_of(answer.body) or answer.body)
