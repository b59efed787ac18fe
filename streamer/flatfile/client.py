"""The Flatfile API as streamer uses it: pages of events, lists, single objects.

Ids come from the API and are hostile until they match a pattern; none that does not ever gets into
a URL. Every list is walked to its end whatever the server's page size is. Nothing is cached.
"""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Final, Self, TypeVar

from streamer.errors import FlatfileAnswerError, FlatfileNotFoundError
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
from streamer.flatfile.envelope import data_of
from streamer.flatfile.models import Agent, Environment, Guest, Space, User
from streamer.flatfile.objects import Pagination, is_id, read_element, read_list, read_pagination
from streamer.flatfile.pages import parse_clean_page, parse_hostile_page
from streamer.flatfile.proxies import proxy_for
from streamer.flatfile.rows import read_row
from streamer.flatfile.transport import Answer, Call, OnRequest, Patience, Reader, Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType

    from streamer.config import FlatfileSettings
    from streamer.flatfile.listing import PageRequest
    from streamer.flatfile.models import Row
    from streamer.flatfile.pages import Page

LIST_PAGE_SIZE: Final = 100
"""Asked for in lists; a server may give fewer at once."""

MOST_LIST_PAGES: Final = 10_000
"""A list that goes on after this is not a list."""

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
            query["environmentId"] = _checked(where, environment_id)
        if request.since is not None:
            query["since"] = _instant(request.since)
        call = Call("list_events", where, "/events", query, priority)
        return await self._transport.get(call, self._auth, _read_page)

    async def environments(self, priority: Priority = Priority.LIVE) -> list[Environment]:
        """Return all environments of the account."""
        call = Call("list_environments", "GET /environments", "/environments", {}, priority)
        return await self._walk(call, Environment)

    async def users(self, priority: Priority = Priority.INVENTORY) -> list[User]:
        """Return all users of the account."""
        return await self._walk(Call("list_users", "GET /users", "/users", {}, priority), User)

    async def guests(self, space_id: str, priority: Priority = Priority.INVENTORY) -> list[Guest]:
        """Return all guests of a space; this list has no pages."""
        where = "GET /guests"
        query = {"spaceId": _checked(where, space_id)}
        call = Call("list_guests", where, "/guests", query, priority)
        guests, _ = await self._transport.get(call, self._auth, _list_reader(Guest))
        return guests

    async def agents(
        self, environment_id: str, priority: Priority = Priority.INVENTORY
    ) -> list[Agent]:
        """Return all agents of an environment."""
        where = "GET /agents"
        query = {"environmentId": _checked(where, environment_id)}
        call = Call("list_agents", where, "/agents", query, priority)
        return await self._walk(call, Agent, data_is_optional=True)

    async def spaces(
        self,
        environment_id: str | None = None,
        *,
        archived: bool | None = None,
        priority: Priority = Priority.INVENTORY,
    ) -> list[Space]:
        """Return all spaces, of one environment or of all."""
        where = "GET /spaces"
        query: dict[str, str] = {}
        if environment_id is not None:
            query["environmentId"] = _checked(where, environment_id)
        if archived is not None:
            query["archived"] = "true" if archived else "false"
        return await self._walk(Call("list_spaces", where, "/spaces", query, priority), Space)

    async def user(self, user_id: str) -> User:
        """Return one user."""
        return await self._one("get_user", "GET /users/{id}", user_id, User)

    async def guest(self, guest_id: str) -> Guest:
        """Return one guest."""
        return await self._one("get_guest", "GET /guests/{id}", guest_id, Guest)

    async def agent(self, agent_id: str, environment_id: str) -> Agent:
        """Return one agent of an environment."""
        where = "GET /agents/{id}"
        query = {"environmentId": _checked(where, environment_id)}
        return await self._one("get_agent", where, agent_id, Agent, query)

    async def space(self, space_id: str) -> Space:
        """Return one space."""
        return await self._one("get_space", "GET /spaces/{id}", space_id, Space)

    async def event(self, event_id: str) -> Row:
        """Return one event, as a page would have it."""
        call = _call_for_one("get_event", "GET /events/{id}", event_id, {})
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

        call = _call_for_one(operation, where, object_id, query or {})
        return await self._transport.get(call, self._auth, read)

    async def _walk(self, call: Call, kind: type[T], *, data_is_optional: bool = False) -> list[T]:
        """Return what is on all pages of a list.

        A short page is not the last one, since a server may give fewer than asked for. The last one
        is the one that the answer says is the last, or the one before an empty one or before one
        that brings nothing new (of a server that ignores the page's number).
        """
        read = _list_reader(kind, data_is_optional=data_is_optional)
        found: dict[str, T] = {}
        for number in range(1, MOST_LIST_PAGES + 1):
            query = {**call.query, "pageSize": str(LIST_PAGE_SIZE), "pageNumber": str(number)}
            page = Call(call.operation, call.where, call.path, query, call.priority)
            items, pagination = await self._transport.get(page, self._auth, read)
            fresh = {item.id: item for item in items if item.id not in found}
            found |= fresh
            if not fresh or pagination.ends_with(page=number, items=len(found)):
                return list(found.values())
        raise FlatfileAnswerError(
            where=call.where, what=f"more than {MOST_LIST_PAGES:,} pages", next_step=_AGAIN
        )

    async def _exchange(self, pair: KeyPair) -> AuthAnswer:
        async def read(answer: Answer) -> AuthAnswer:
            return read_answer(answer.body, answer.server_at)

        body = auth_request(pair)
        call = Call("authenticate", "POST /auth", "/auth", {}, Priority.LIVE, json=body)
        return await self._transport.authenticate(call, read)


def _checked(where: str, identifier: str) -> str:
    """Return an id that may go into a URL.

    Raises:
        FlatfileNotFoundError: It is none, so nothing can have it; it is not quoted.
    """
    if not is_id(identifier):
        raise FlatfileNotFoundError(
            where=where, what="not an id, so it was not asked for", next_step="Nothing to do."
        )
    return identifier


def _call_for_one(operation: str, where: str, identifier: str, query: Mapping[str, str]) -> Call:
    path = where.removeprefix("GET ").replace("{id}", _checked(where, identifier))
    return Call(operation, where, path, query, Priority.LIVE)


def _instant(moment: datetime) -> str:
    exactly = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=exactly).replace("+00:00", "Z")


async def _read_page(answer: Answer) -> Page:
    page = parse_clean_page(answer.body, answer.server_at)
    if page is None:  # May take seconds if it is made for that: not in the event loop.
        page = await asyncio.to_thread(parse_hostile_page, answer.body, answer.server_at)
    return page


async def _read_event(answer: Answer) -> Row:
    return await asyncio.to_thread(read_row, data_of(answer.body) or answer.body)


def _list_reader(
    kind: type[T], *, data_is_optional: bool = False
) -> Reader[tuple[list[T], Pagination]]:
    """Return a reader of lists. Without `data` all objects would seem to have vanished."""

    async def read(answer: Answer) -> tuple[list[T], Pagination]:
        if data_is_optional and data_of(answer.body) in {b"", b"null"}:
            return [], Pagination()
        return read_list(answer.body, kind), read_pagination(answer.body)

    return read
