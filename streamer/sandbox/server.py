"""The sandbox on its socket.

Listens on 127.0.0.1 unless told otherwise (between containers). In a test it may run in the test's
own loop; the demo and most tests run it as a process of its own (`streamer sandbox`), so that it
takes no time from the reader's loop.
"""

from __future__ import annotations

import asyncio
import socket
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from streamer.errors import PortInUseError
from streamer.sandbox import api, control
from streamer.sandbox.answers import AnswerError, refusal
from streamer.sandbox.damage import damage
from streamer.sandbox.faults import FaultChooser
from streamer.sandbox.options import SandboxOptions
from streamer.sandbox.tokens import Tokens
from streamer.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - to be known, not to be bound to

SEND_BUFFER_BYTES: Final = 128 << 10
"""What the kernel may hold of a response that its reader has not taken: a ledger that is to know
what was read must not be ahead of the reader by a whole page."""

HUNG_UP: Final = 499
"""The status that nobody gets any more. Source: nginx, "client closed request"."""

SHUTDOWN_S: Final = 1.0
"""How long open connections have to end by themselves."""


class Sandbox:
    """A Flatfile account on a loopback port."""

    def __init__(
        self, options: SandboxOptions | None = None, *, clock: Callable[[], float] | None = None
    ) -> None:
        self._options = options or SandboxOptions()
        self._world = World(self._options, clock or _steady_clock(self._options.clock_offset_s))
        self._tokens = Tokens()
        self._faults = FaultChooser(self._options.seed)
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The API's URL, up to and with `/v1`."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def control_url(self) -> str:
        """Where the control endpoints are."""
        return f"http://{self._host}:{self._port}/_sandbox"

    @property
    def world(self) -> World:
        """The account, for tests in the same process."""
        return self._world

    @property
    def environments(self) -> dict[str, str]:
        """Names of environments by id."""
        return {
            environment.id: str(environment.body["name"])
            for environment in self._world.account.environments.values()
        }

    @property
    def _host(self) -> str:
        """Where this machine reaches it."""
        return LOOPBACK if self._options.host == EVERYWHERE else self._options.host

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: The port is taken. Choose another, or 0 for a free one.
        """
        if self._options.pre_encode:
            await asyncio.to_thread(self._world.encode_backlog)
        listener = _listen(self._options.host, self._options.port)
        self._port = listener.getsockname()[1]
        app = web.Application(middlewares=[_gate], client_max_size=256 << 20)
        app[api.WORLD] = self._world
        app[api.TOKENS] = self._tokens
        app[api.FAULTS] = self._faults
        app.on_response_prepare.append(_date)
        app.add_routes([*api.routes(), *control.routes()])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        await web.SockSite(runner, listener, backlog=1024).start()
        self._runner = runner

    async def stop(self) -> None:
        """Close the socket and whatever is open; a second time does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def emit(self, environment_id: str, topic: str | None = None, **how: Any) -> list[str]:  # noqa: ANN401 - as World.emit
        """Let events happen now, and return their ids: see `World.emit`."""
        return self._world.emit(environment_id, topic, **how)

    def change(self, **options: Any) -> None:  # noqa: ANN401 - as SandboxOptions
        """Change options while it runs: see `SandboxOptions`."""
        self._world.change(options)

    def plan_fault(self, kind: str, *, path: str = "/v1/", count: int = 1) -> None:
        """Let the next requests whose path begins so go wrong: see `Faults` for the kinds."""
        self._faults.plan(kind, path, count)

    def revoke_tokens(self) -> int:
        """Make every issued token worthless now, and return how many there were."""
        return self._tokens.revoke()

    def ledger(self) -> list[dict[str, Any]]:
        """Return what was shown so far, as `GET /_sandbox/ledger` does."""
        return list(self._world.ledger.entries())


@web.middleware
async def _gate(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let in who may, after the latency that was asked for; turn refusals into answers."""
    is_api = not request.path.startswith("/_sandbox/")
    try:
        if is_api:
            await _admit(request)
            world = request.app[api.WORLD]
            kind = request.app[api.FAULTS].choose(request.path, world.options.faults)
            if kind is not None:
                now_s = world.now_ms() / 1000
                return await damage(kind, request, handler, world.options.faults, now_s)
        return await handler(request)
    except ConnectionError:
        # Whoever asked has hung up; aiohttp would take it for a fault of ours.
        return web.Response(status=HUNG_UP)
    except AnswerError as error:
        return refusal(error)
    except web.HTTPException as error:
        return refusal(AnswerError(error.status, "not_found", f"{error.reason}: {request.path}"))


async def _date(request: web.Request, response: web.StreamResponse) -> None:
    """Let every answer carry the account's time, or a time that is off by what was asked for."""
    world = request.app[api.WORLD]
    at_s = world.now_ms() / 1000 + world.options.reading.date_skew_s
    response.headers["Date"] = format_datetime(datetime.fromtimestamp(at_s, UTC), usegmt=True)


async def _admit(request: web.Request) -> None:
    """Let in who may; what does not exist needs no token.

    Raises:
        AnswerError: 401.
        web.HTTPException: There is no such path.
    """
    world = request.app[api.WORLD]
    if request.match_info.http_exception is not None:
        raise request.match_info.http_exception
    if world.options.latency_s:
        await asyncio.sleep(world.options.latency_s)
    if request.path == "/v1/auth":
        return
    header = request.headers.get("Authorization")
    if not request.app[api.TOKENS].accepts(header, world.now_ms(), world.options.tokens):
        raise AnswerError(401, "unauthorized", "the token is missing, unknown or expired")


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortInUseError(
            where=f"{host}:{port}",
            what=error.strerror or "cannot be listened on",
            next_step="Choose another --port, or 0 for a free one.",
        ) from error
    return listener


def _steady_clock(offset_s: float) -> Callable[[], float]:
    """Return a clock that starts at the time of day and then never jumps."""
    offset_s += time.time() - time.monotonic()
    return lambda: time.monotonic() + offset_s
