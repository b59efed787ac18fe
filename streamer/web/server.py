"""`/healthz`, `/readyz` and `/metrics`: what an orchestrator and a monitoring system ask.

None of them carries personal data or a credential. `/healthz` answers as long as the event loop
turns; `/readyz` says whether this worker does its work, and if not, what keeps it.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import orjson
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from streamer.config import LOOPBACK_HOSTS
from streamer.errors import PortInUseError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from streamer.config import WebSettings
    from streamer.telemetry.board import Board
    from streamer.telemetry.metrics import Metrics

SHUTDOWN_S: Final = 2.0
"""How long open requests may take when the server is closed."""

NAMED_AT_MOST: Final = 20
"""How many stalled environments `/readyz` names."""


class WebServer:
    """The worker's own small HTTP server."""

    def __init__(self, settings: WebSettings, board: Board, metrics: Metrics) -> None:
        self._settings = settings
        self._board = board
        app = web.Application(middlewares=[self._check_host])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", make_aiohttp_handler(metrics.registry))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        self.port = settings.port

    @property
    def url(self) -> str:
        """Where the server answers, once it has been started."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUseError: The port is taken, or the address is not ours.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            taken = error.errno == errno.EADDRINUSE
            raise PortInUseError(
                where=f"{self._settings.host}:{self._settings.port}",
                what="the port is in use" if taken else f"cannot listen: {error.strerror}",
                next_step="Set STREAMER_WEB__PORT to a free port (0 takes any), "
                "or stop what uses this one.",
            ) from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the server; bounded."""
        await self._runner.cleanup()

    @web.middleware
    async def _check_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # On loopback a name that is not ours was sent by a page that rebinds DNS.
        if self._settings.host in LOOPBACK_HOSTS:
            host = (request.url.host or "").lower()
            if host not in LOOPBACK_HOSTS:
                raise web.HTTPMisdirectedRequest
        return await handler(request)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = self.not_ready()
        body = {
            "ready": not reasons,
            "reasons": reasons,
            "shards": {str(shard): state for shard, state in sorted(self._board.shards.items())},
            "environments": len(self._board.environments),
        }
        return web.Response(
            status=503 if reasons else 200,
            body=orjson.dumps(body),
            content_type="application/json",
        )

    def not_ready(self) -> list[str]:
        """What keeps this worker from being ready; empty if nothing does."""
        reasons = []
        if self._board.trouble is not None:
            reasons.append(self._board.trouble)
        if not self._board.joined:
            reasons.append("not yet a member of the consumer group")
        waiting = [s for s, state in self._board.shards.items() if state != "running"]
        if waiting:
            named = ", ".join(str(shard) for shard in sorted(waiting))
            reasons.append(f"shards not running: {named}")
        for shard, refusal in sorted(self._board.refusals.items()):
            reasons.append(f"shard {shard} refused: {refusal}")
        stalled = list(self._board.stalled(self._settings.stall_after))
        if stalled:
            named = ", ".join(status.id for status in stalled[:NAMED_AT_MOST])
            reasons.append(f"{len(stalled)} environments not polled with success: {named}")
        return reasons
