"""Reads the body of an answer, decompressed by ourselves and counted while it is read.

The HTTP client decompresses without a limit of ours: a megabyte of gzip can be a gigabyte of
zeros. Here no step makes more than one chunk of it.
"""

from __future__ import annotations

import zlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

    from aiohttp import ClientResponse

CHUNK_BYTES: Final = 256 * 1024
"""What is decompressed in one step."""

FREE_BYTES: Final = 4 * 1024 * 1024
"""Of each body; what is larger takes turns."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyTooLargeError(Exception):
    """The body is larger than the limit, by its header or by what came.

    Attributes:
        beginning: What was read of it, as much of that as was wanted.
    """

    def __init__(self, beginning: bytes = b"") -> None:
        super().__init__()
        self.beginning = beginning


class BodyUnreadableError(Exception):
    """The body is compressed in a way that was not asked for, is corrupt, or is cut off."""


async def read_body(
    response: ClientResponse,
    *,
    limit_bytes: int,
    beginning_bytes: int = 0,
    turn: AbstractAsyncContextManager[object] | None = None,
) -> bytes:
    """Read a body whose decompressed length is at most `limit_bytes`.

    Args:
        response: Its headers have come.
        limit_bytes: The most that is read.
        beginning_bytes: How much is wanted of a body that is larger.
        turn: Entered before it goes on beyond `FREE_BYTES`, and held to its end.

    Raises:
        BodyTooLargeError: It is longer; the rest was not read.
        BodyUnreadableError: It cannot be decompressed, or ends too soon.
    """
    is_refused = (response.content_length or 0) > limit_bytes
    if is_refused and not beginning_bytes:
        raise BodyTooLargeError
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", ""}:
        raise BodyUnreadableError
    gunzip = _Gunzip() if "gzip" in encoding else None
    pieces: list[bytes] = []
    size_bytes = 0
    async with AsyncExitStack() as held:
        # Not `iter_chunks`, which never ends on a body that is empty by its header.
        async for chunk in response.content.iter_any():
            for piece in gunzip.feed(chunk) if gunzip else (chunk,):
                size_bytes += len(piece)
                pieces.append(piece)
                if size_bytes > limit_bytes or (is_refused and size_bytes >= beginning_bytes):
                    # Not all that came: how much that is differs from one answer to the next.
                    wanted_bytes = min(beginning_bytes, limit_bytes)
                    raise BodyTooLargeError(_beginning(pieces, wanted_bytes))
                if turn is not None and size_bytes > FREE_BYTES:
                    await held.enter_async_context(turn)
                    turn = None
        if gunzip and not gunzip.complete:
            raise BodyUnreadableError
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _beginning(pieces: list[bytes], wanted_bytes: int) -> bytes:
    beginning = bytearray()
    for piece in pieces:
        if len(beginning) >= wanted_bytes:
            break
        beginning += piece[: wanted_bytes - len(beginning)]
    return bytes(beginning)


class _Gunzip:
    """Decompresses gzip, one bounded piece at a time; several members in a row are one text."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: nothing came at all, or a member has ended."""
        return not self._begun or self._stream.eof

    def feed(self, compressed: bytes) -> Iterator[bytes]:
        while compressed:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                piece = self._stream.decompress(compressed, CHUNK_BYTES)
            except zlib.error:
                raise BodyUnreadableError from None
            if piece:
                yield piece
            compressed = self._stream.unconsumed_tail or self._stream.unused_data
