"""The endpoints under `/_sandbox`: what a test or a person does to the account while it runs.

They ask for no token and wait for no latency: they are not part of what is imitated.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson
from aiohttp import web

from streamer.errors import SettingsError
from streamer.sandbox.answers import AnswerError, json_answer
from streamer.sandbox.api import FAULTS, TOKENS, WORLD


def routes() -> list[web.RouteDef]:
    """Return every endpoint below `/_sandbox`."""
    return [
        web.get("/_sandbox/ledger", read_ledger),
        web.get("/_sandbox/account", read_account),
        web.get("/_sandbox/settings", read_settings),
        web.post("/_sandbox/settings", change_settings),
        web.post("/_sandbox/emit", emit),
        web.post("/_sandbox/rewrite", rewrite),
        web.post("/_sandbox/remove", remove),
        web.post("/_sandbox/environments", change_environments),
        web.post("/_sandbox/objects", change_object),
        web.post("/_sandbox/revoke", revoke),
        web.post("/_sandbox/fault", fault),
    ]


async def read_ledger(request: web.Request) -> web.StreamResponse:
    """Stream the ledger as JSON lines."""
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    for lines in request.app[WORLD].ledger.lines():
        await response.write(lines)
    await response.write_eof()
    return response


async def read_account(request: web.Request) -> web.Response:
    """Return everything that exists: account, environments, spaces, people, agents."""
    account = request.app[WORLD].account
    return json_answer(
        {
            "id": account.id,
            "users": account.users,
            "former": account.former,
            "keys": account.keys,
            "environments": [
                {
                    **environment.body,
                    "listed": environment.listed,
                    "forbidden": environment.forbidden,
                    "gone": environment.gone,
                    "spaces": [space.body for space in environment.spaces],
                    "guests": environment.guests,
                    "agents": environment.agents,
                }
                for environment in account.environments.values()
            ],
        }
    )


async def read_settings(request: web.Request) -> web.Response:
    """Return the options as they are now, in one flat object."""
    options = dataclasses.asdict(request.app[WORLD].options)
    return json_answer(options | options.pop("reading") | options.pop("faults"))


async def change_settings(request: web.Request) -> web.Response:
    """Change options: `{"latency_s": 0.05}`."""
    try:
        request.app[WORLD].change(await _body(request))
    except SettingsError as error:
        raise AnswerError(400, "invalid_settings", str(error)) from error
    return await read_settings(request)


async def emit(request: web.Request) -> web.Response:
    """Let events happen.

    Body: `environment`; `topic`, `count`, `visible_in_s` and `hostile` as in `World.emit`; `event`,
    the members to replace; or `raw`, a text that stands in place of the event, its characters as
    Latin-1 bytes.
    """
    body = await _body(request)
    raw = body.get("raw")
    try:
        ids = request.app[WORLD].emit(
            str(body.get("environment")),
            body.get("topic"),
            count=int(body.get("count", 1)),
            visible_in_s=float(body.get("visible_in_s", 0)),
            hostile=body.get("hostile"),
            raw=None if raw is None else str(raw).encode("latin-1"),
            **body.get("event", {}),
        )
    except KeyError as error:
        raise AnswerError(404, "not_found", f"there is no {error}") from None
    except (TypeError, ValueError) as error:
        raise _unusable(error) from error
    return json_answer({"ids": ids})


async def rewrite(request: web.Request) -> web.Response:
    """Change members of events that exist: `{"ids": […], "changes": {"deletedAt": "…"}}`."""
    body = await _body(request)
    world, changes = request.app[WORLD], _changes(body) or {}
    return json_answer({"ids": [one for one in _ids(body) if world.rewrite(one, changes)]})


async def remove(request: web.Request) -> web.Response:
    """Let events vanish from every listing: `{"ids": […]}`."""
    body = await _body(request)
    world = request.app[WORLD]
    return json_answer({"ids": [one for one in _ids(body) if world.remove(one)]})


async def change_environments(request: web.Request) -> web.Response:
    """Add an environment (`{"name": "…"}`), or change one.

    With `id`, any of `name`, `listed`, `forbidden` and `gone` are set.
    """
    body = await _body(request)
    world = request.app[WORLD]
    if "id" not in body:
        return json_answer({"id": world.add_environment(body.get("name")).id})
    environment = world.account.environments.get(str(body["id"]))
    if environment is None:
        raise AnswerError(404, "not_found", "no environment has this id")
    if "name" in body:
        environment.body["name"] = str(body["name"])
    environment.listed = bool(body.get("listed", environment.listed))
    environment.forbidden = bool(body.get("forbidden", environment.forbidden))
    environment.gone = bool(body.get("gone", environment.gone))
    return json_answer({"id": environment.id})


async def change_object(request: web.Request) -> web.Response:
    """Make an object, change one or delete one.

    With `kind` (`user`; or `agent`, `guest`, `space`, with the id of an `environment`) one is made,
    and `changes` are applied to it. With `id` that one is changed (`{"name": "…"}`), or, without
    `changes`, deleted: its id answers 404 from then on.
    """
    body = await _body(request)
    world, changes = request.app[WORLD], _changes(body)
    if "kind" in body:
        try:
            made = world.add_object(str(body["kind"]), body.get("environment"))
        except (KeyError, ValueError) as error:
            raise _unusable(error) from error
        made.update(changes or {})
        return json_answer({"id": made["id"]})
    if not world.account.change(str(body.get("id")), changes):
        raise AnswerError(404, "not_found", "nothing has this id")
    return json_answer({"id": body["id"]})


async def revoke(request: web.Request) -> web.Response:
    """Make every issued token worthless now."""
    return json_answer({"revoked": request.app[TOKENS].revoke()})


async def fault(request: web.Request) -> web.Response:
    """Let the next requests go wrong: `{"kind": "reset", "count": 2, "path": "/v1/events"}`."""
    body = await _body(request)
    try:
        request.app[FAULTS].plan(
            str(body.get("kind")), str(body.get("path", "/v1/")), int(body.get("count", 1))
        )
    except ValueError as error:
        raise _unusable(error) from error
    return json_answer({})


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise _unusable(error) from error
    if not isinstance(body, dict):
        raise AnswerError(400, "invalid_body", "an object is expected")
    return body


def _ids(body: dict[str, Any]) -> list[str]:
    ids = body.get("ids", [])
    if not isinstance(ids, list):
        raise AnswerError(400, "invalid_body", "ids: a list is expected")
    return [str(one) for one in ids]


def _changes(body: dict[str, Any]) -> dict[str, Any] | None:
    changes = body.get("changes")
    if changes is not None and not isinstance(changes, dict):
        raise AnswerError(400, "invalid_body", "changes: an object is expected")
    return changes


def _unusable(error: Exception) -> AnswerError:
    return AnswerError(400, "invalid_body", str(error))
