"""The endpoints of the Flatfile API that the sandbox has, each as documented.

Plain functions from a request to a response: what they show comes from `World`, what form it has
from `answers`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from streamer.sandbox.answers import (
    AnswerError,
    Paging,
    boolean,
    instant_ms,
    json_answer,
    listing,
    required,
    searched,
    show,
)
from streamer.sandbox.blocks import stamp_ms
from streamer.sandbox.faults import FaultChooser
from streamer.sandbox.tokens import Tokens
from streamer.sandbox.views import EventQuery
from streamer.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamer.sandbox.account import Environment

WORLD: Final = web.AppKey("world", World)
TOKENS: Final = web.AppKey("tokens", Tokens)
FAULTS: Final = web.AppKey("faults", FaultChooser)

EVENTS_DEFAULT: Final = 10
USERS_DEFAULT: Final = 20
AGENTS_DEFAULT: Final = 20
SPACES_DEFAULT: Final = 10
ENVIRONMENTS_DEFAULT: Final = 10


def routes() -> list[web.RouteDef]:
    """Return every endpoint below `/v1`."""
    return [
        web.post("/v1/auth", authenticate),
        web.get("/v1/environments", list_environments),
        web.get("/v1/environments/{id}", get_environment),
        web.get("/v1/events", list_events),
        web.get("/v1/events/{id}", get_event),
        web.get("/v1/users", list_users),
        web.get("/v1/users/{id}", get_user),
        web.get("/v1/guests", list_guests),
        web.get("/v1/guests/{id}", get_guest),
        web.get("/v1/agents", list_agents),
        web.get("/v1/agents/{id}", get_agent),
        web.get("/v1/spaces", list_spaces),
        web.get("/v1/spaces/{id}", get_space),
    ]


async def authenticate(request: web.Request) -> web.Response:
    """`POST /auth`: a key pair for a token, in either form of the body."""
    world = request.app[WORLD]
    body: Any = None
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.loads(await request.read())
    if not isinstance(body, dict) or body.get("type", "apiCredentials") != "apiCredentials":
        raise AnswerError(400, "invalid_body", "clientId and secret are required")
    if (body.get("clientId"), body.get("secret")) != (
        world.options.client_id,
        world.options.secret,
    ):
        raise AnswerError(401, "unauthorized", "the credentials are not valid")
    lifetime_s = world.options.token_lifetime_s
    token, end_ms = request.app[TOKENS].issue(world.now_ms(), lifetime_s)
    user = world.account.users[0] if world.account.users else {}
    answer: dict[str, Any] = {
        "accessToken": token,
        "expiresIn": str(int(lifetime_s)),
        "expires": stamp_ms(end_ms).decode(),
        "email": user.get("email"),
        "userId": user.get("id"),
        "accountId": world.account.id,
    }
    return json_answer({"data": answer} if world.options.auth_wrapped else answer)


async def list_environments(request: web.Request) -> web.Response:
    """`GET /environments`."""
    world = request.app[WORLD]
    rows = [
        environment.body
        for environment in world.account.environments.values()
        if environment.listed and not environment.gone
    ]
    return listing(rows, request.query, default=ENVIRONMENTS_DEFAULT, world=world)


async def get_environment(request: web.Request) -> web.Response:
    """`GET /environments/{id}`."""
    return json_answer({"data": _environment(request, request.match_info["id"]).body})


async def list_events(request: web.Request) -> web.Response:
    """`GET /events`: no pagination object, and acknowledged ones only if asked for."""
    world = request.app[WORLD]
    query = request.query
    environment_id = query.get("environmentId")
    if environment_id is not None:
        _environment(request, environment_id)
    paging = Paging.of(query, default=EVENTS_DEFAULT, cap=world.options.page_cap)
    asked = EventQuery(
        size=paging.size,
        number=paging.number,
        since_ms=instant_ms(query, "since"),
        environment_id=environment_id,
        space_id=query.get("spaceId"),
        domain=query.get("domain"),
        topic=query.get("topic"),
        include_acknowledged=bool(boolean(query, "includeAcknowledged")),
    )
    shown = world.view(asked).rows(paging.start, paging.start + paging.size)
    pieces = [piece for timeline, runs in shown for piece in timeline.encode(runs)]
    body = b'{"data":[%b]}' % b",".join(pieces)
    return await show(request, body, shown, world)


async def get_event(request: web.Request) -> web.Response:
    """`GET /events/{id}`: not a listing, so not in the ledger."""
    world = request.app[WORLD]
    found = world.find(request.match_info["id"])
    if found is None:
        raise _not_found(noun="event")
    timeline, index = found
    _environment(request, timeline.environment_id)
    body = b'{"data":%b}' % timeline.event(index)
    return web.Response(body=body, content_type="application/json")


async def list_users(request: web.Request) -> web.Response:
    """`GET /users`."""
    world = request.app[WORLD]
    email = request.query.get("email")
    rows = [user for user in world.account.users if email is None or user["email"] == email]
    rows = searched(rows, request.query, ("name", "email"))
    return listing(rows, request.query, default=USERS_DEFAULT, world=world)


async def get_user(request: web.Request) -> web.Response:
    """`GET /users/{id}`."""
    return _one(request.app[WORLD].account.users, request.match_info["id"], "user")


async def list_guests(request: web.Request) -> web.Response:
    """`GET /guests`: of one space, all of them at once."""
    space_id = required(request.query, "spaceId")
    email = request.query.get("email")
    environment = _environment_of_space(request, space_id)
    rows = [
        guest
        for guest in environment.guests
        if any(space["id"] == space_id for space in guest["spaces"])
        and (email is None or guest["email"] == email)
    ]
    return json_answer({"data": rows})


async def get_guest(request: web.Request) -> web.Response:
    """`GET /guests/{id}`."""
    guests = [guest for place in _visible(request) for guest in place.guests]
    return _one(guests, request.match_info["id"], "guest")


async def list_agents(request: web.Request) -> web.Response:
    """`GET /agents`: of one environment."""
    environment = _environment(request, required(request.query, "environmentId"))
    is_system = boolean(request.query, "isSystem")
    rows = [
        agent
        for agent in environment.agents
        if is_system is None or bool(agent["isSystem"]) == is_system
    ]
    rows = searched(rows, request.query, ("slug",))
    return listing(rows, request.query, default=AGENTS_DEFAULT, world=request.app[WORLD])


async def get_agent(request: web.Request) -> web.Response:
    """`GET /agents/{id}`, with the environment that it is in."""
    environment = _environment(request, required(request.query, "environmentId"))
    return _one(environment.agents, request.match_info["id"], "agent")


async def list_spaces(request: web.Request) -> web.Response:
    """`GET /spaces`."""
    environment_id = request.query.get("environmentId")
    places = _visible(request)
    if environment_id is not None:
        places = [_environment(request, environment_id)]
    archived = boolean(request.query, "archived")
    rows = [
        space.body
        for place in places
        for space in place.spaces
        if not space.gone
        if archived is None or bool(space.body["archivedAt"]) == archived
    ]
    rows = searched(rows, request.query, ("name",))
    return listing(rows, request.query, default=SPACES_DEFAULT, world=request.app[WORLD])


async def get_space(request: web.Request) -> web.Response:
    """`GET /spaces/{id}`."""
    spaces = [space.body for place in _visible(request) for space in place.spaces if not space.gone]
    return _one(spaces, request.match_info["id"], "space")


def _one(rows: Iterable[dict[str, Any]], wanted: str, noun: str) -> web.Response:
    for row in rows:
        if row["id"] == wanted:
            return json_answer({"data": row})
    raise _not_found(noun=noun)


def _not_found(*, noun: str) -> AnswerError:
    return AnswerError(404, "not_found", f"the {noun} does not exist")


def _environment(request: web.Request, environment_id: str) -> Environment:
    environment = request.app[WORLD].account.environments.get(environment_id)
    if environment is None or environment.gone:
        raise _not_found(noun="environment")
    if environment.forbidden:
        raise AnswerError(403, "forbidden", "not allowed in this environment")
    return environment


def _environment_of_space(request: web.Request, space_id: str) -> Environment:
    for environment in request.app[WORLD].account.environments.values():
        if any(space.id == space_id and not space.gone for space in environment.spaces):
            return _environment(request, environment.id)
    raise _not_found(noun="space")


def _visible(request: web.Request) -> list[Environment]:
    return [
        environment
        for environment in request.app[WORLD].account.environments.values()
        if not (environment.gone or environment.forbidden)
    ]
