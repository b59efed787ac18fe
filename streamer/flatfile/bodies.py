"""Reads the body of an answer, decompressed by ourselves and counted while it is read.

The HTTP client decompresses without a limit of ours: a megabyte of gzip can be a gigabyte of
zeros. Here no step makes more than one chunk of it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import ClientResponse

CHUNK_BYTES: Final = 256 * 1024
"""What is decompressed in one step."""

_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyTooLargeError(Exception):
    """The body is larger than the limit, by its header or by what came."""


class BodyUnreadableError(Exception):
    """The body is compressed in a way that was not asked for, is corrupt, or is cut off."""


async def read_body(response: ClientResponse, *, limit_bytes: int) -> bytes:
    """Read a body whose decompressed length is at most `limit_bytes`.

    Raises:
        BodyTooLargeError: It is longer; the rest was not read.
        BodyUnreadableError: It cannot be decompressed, or ends too soon.
    """
    if (response.content_length or 0) > limit_bytes:
        raise BodyTooLargeError
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", ""}:
        raise BodyUnreadableError
    gunzip = _Gunzip() if "gzip" in encoding else None
    pieces: list[bytes] = []
    size_bytes = 0
    # Not `iter_chunks`, which never ends on a body that is empty by its header.
    async for chunk in response.content.iter_any():
        for piece in gunzip.feed(chunk) if gunzip else (chunk,):
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise BodyTooLargeError
            pieces.append(piece)
    if gunzip and not gunzip.complete:
        raise BodyUnreadableError
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


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
