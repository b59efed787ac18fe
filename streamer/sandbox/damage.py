"""What a fault looks like on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import zlib
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from aiohttp import web

from streamer.sandbox.answers import DRY, JSON, AnswerError, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamer.sandbox.faults import Faults

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PAGE: Final = (
    "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>\n"
)
_CHUNK: Final = b" " * (64 << 10)
_TRICKLE_BYTES: Final = 64
_TRICKLE_S: Final = 0.5
_BOMB_BLOCK: Final = b" " * (1 << 20)


async def damage(
    kind: str, request: web.Request, handler: Handler, faults: Faults, now_s: float
) -> web.StreamResponse:
    """Answer a request as the fault wants it."""
    if kind in _ANSWERS:
        return _ANSWERS[kind](faults, now_s)
    return await _WIRE[kind](request, handler, faults)


def _throttle(faults: Faults, now_s: float) -> web.Response:
    response = refusal(AnswerError(429, "too_many_requests", "slow down"))
    if faults.retry_after == "seconds":
        response.headers["Retry-After"] = str(faults.retry_after_s)
    elif faults.retry_after == "date":
        at = datetime.fromtimestamp(int(now_s) + faults.retry_after_s, UTC)
        response.headers["Retry-After"] = format_datetime(at, usegmt=True)
    return response


def _html(status: int, title: str) -> web.Response:
    return web.Response(status=status, text=_PAGE.format(title), content_type="text/html")


_ANSWERS: Final[dict[str, Callable[[Faults, float], web.Response]]] = {
    "throttle": _throttle,
    "error_500": lambda _, __: refusal(AnswerError(500, "internal_error", "something went wrong")),
    "unauthorized": lambda _, __: refusal(AnswerError(401, "unauthorized", "token was revoked")),
    "status": lambda faults, _: web.Response(status=faults.status_code),
    "bad_gateway": lambda _, __: _html(502, "502 Bad Gateway"),
    "html": lambda _, __: _html(200, "Maintenance"),
    "garbage": lambda _, __: web.Response(body=b"\x00\xff{]garbage[}" * 64, content_type=JSON),
    "redirect": lambda faults, _: web.Response(
        status=302, headers={"Location": faults.redirect_to}
    ),
}
"""Faults that are an answer like any other."""


async def _truncated(request: web.Request, handler: Handler, _: Faults) -> web.StreamResponse:
    body = await _body(request, handler)
    return web.Response(body=body[: len(body) // 2], content_type=JSON)


async def _half(request: web.Request, handler: Handler, _: Faults) -> web.StreamResponse:
    body = await _body(request, handler)
    response = web.StreamResponse(headers={"Content-Type": JSON})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _reset(request: web.Request, _: Handler, __: Faults) -> web.StreamResponse:
    """End the connection at once, so that its other side sees a reset."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=500)


async def _hang(request: web.Request, handler: Handler, faults: Faults) -> web.StreamResponse:
    await asyncio.sleep(faults.hang_s)
    return await _reset(request, handler, faults)


async def _body(request: web.Request, handler: Handler) -> bytes:
    """Return the bytes of the right answer, without it being sent."""
    request[DRY] = True
    response = await handler(request)
    body = getattr(response, "body", b"")
    return body if isinstance(body, bytes) else b""


async def _trickle(request: web.Request, handler: Handler, _: Faults) -> web.StreamResponse:
    body = await _body(request, handler)
    response = web.StreamResponse(headers={"Content-Type": JSON})
    response.content_length = len(body)
    await response.prepare(request)
    for start in range(0, len(body), _TRICKLE_BYTES):
        await response.write(body[start : start + _TRICKLE_BYTES])
        await asyncio.sleep(_TRICKLE_S)
    await response.write_eof()
    return response


async def _endless(request: web.Request, _: Handler, __: Faults) -> web.StreamResponse:
    return await _flood(request, None)


async def _huge(request: web.Request, _: Handler, faults: Faults) -> web.StreamResponse:
    return await _flood(request, faults.huge_bytes)


async def _gzip_bomb(_: web.Request, __: Handler, faults: Faults) -> web.StreamResponse:
    bomb = await asyncio.to_thread(gzip_bomb, faults.huge_bytes)
    return web.Response(body=bomb, content_type=JSON, headers={"Content-Encoding": "gzip"})


async def _flood(request: web.Request, size_bytes: int | None) -> web.StreamResponse:
    """Send white space inside a page, up to a size or until the reader goes away."""
    response = web.StreamResponse(headers={"Content-Type": JSON})
    await response.prepare(request)
    await response.write(b'{"data":[')
    sent_bytes = 0
    while size_bytes is None or sent_bytes < size_bytes:
        await response.write(_CHUNK)
        sent_bytes += len(_CHUNK)
        if size_bytes is None:
            await asyncio.sleep(0.01)
    await response.write(b"]}")
    await response.write_eof()
    return response


@lru_cache(maxsize=2)
def gzip_bomb(size_bytes: int) -> bytes:
    """Return a thousandth of the size, that unpacks to it: an empty page with much white space.

    One block of the stream is packed once and then repeated, which a full flush allows.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(b'{"data":[') + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(_BOMB_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(b"]}") + packer.flush()
    count = -(-size_bytes // len(_BOMB_BLOCK))
    checksum = zlib.crc32(b'{"data":[')
    for _ in range(count):
        checksum = zlib.crc32(_BOMB_BLOCK, checksum)
    checksum = zlib.crc32(b"]}", checksum)
    length = (count * len(_BOMB_BLOCK) + 11) & 0xFFFFFFFF
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return b"".join((head, start, block * count, end, struct.pack("<II", checksum, length)))


_WIRE: Final[dict[str, Callable[[web.Request, Handler, Faults], Awaitable[web.StreamResponse]]]] = {
    "truncated": _truncated,
    "half": _half,
    "reset": _reset,
    "hang": _hang,
    "trickle": _trickle,
    "endless": _endless,
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
}
"""Faults that need the connection."""
