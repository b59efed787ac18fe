"""Numbers and links records, and verifies the links.

`hash = SHA-256(previous hash as 32 bytes || the record's bytes up to, not including, the comma
before "integrity")`, and the first `previous` of an environment is SHA-256 of its id. A verifier
needs the raw bytes alone: no canonical form, no parser. Hence the seal is always the last member
and has always the same length.
"""

from __future__ import annotations

import re
from binascii import hexlify, unhexlify
from hashlib import sha256
from typing import Final, NamedTuple

_OPEN: Final = b',"integrity":{"previous":"'
_BETWEEN: Final = b'","hash":"'
_CLOSE: Final = b'"}}'

SEAL_BYTES: Final = len(_OPEN) + 64 + len(_BETWEEN) + 64 + len(_CLOSE)
"""Length of the seal at the end of every record, with its leading comma and the last brace."""

_SEAL: Final = re.compile(
    re.escape(_OPEN) + rb"([0-9a-f]{64})" + re.escape(_BETWEEN) + rb"([0-9a-f]{64})" + _CLOSE
)


class Link(NamedTuple):
    """Where an environment's chain stands: after its record number `sequence`.

    Attributes:
        sequence: Of the last record; 0 before the first.
        head: That record's hash, 32 bytes.
    """

    sequence: int
    head: bytes


class Seal(NamedTuple):
    """What the last member of a record says.

    Attributes:
        body: The bytes that the hash covers beside `previous`.
    """

    body: bytes
    previous: bytes
    digest: bytes

    def holds(self) -> bool:
        """Tell whether the hash is that of the record's bytes and of `previous`."""
        return link(self.previous, self.body) == self.digest


class UnsealedError(ValueError):
    """The bytes do not end in a seal: they are no record, or were cut."""


def genesis(environment_id: str) -> Link:
    """Return where an environment's chain begins."""
    return Link(0, sha256(environment_id.encode()).digest())


def link(previous: bytes, body: bytes) -> bytes:
    """Return the hash, 32 bytes, of a record that follows the one with the hash `previous`."""
    return sha256(previous + body).digest()


def seal(previous: bytes, digest: bytes, body: bytes) -> bytes:
    """Return the record: its body, closed with the hash of its predecessor and its own."""
    return b"".join((body, _OPEN, hexlify(previous), _BETWEEN, hexlify(digest), _CLOSE))


def hashes(record: bytes) -> tuple[bytes, bytes]:
    """Return what a record's seal says, the hash before it and its own, without parsing it.

    Raises:
        UnsealedError: There is no seal at the end.
    """
    found = _SEAL.fullmatch(record[-SEAL_BYTES:])
    if found is None:
        raise UnsealedError
    return unhexlify(found[1]), unhexlify(found[2])


class Chain:
    """Seals records, one behind the other.

    Attributes:
        digest: Hash of the last one.
    """

    __slots__ = ("_written", "digest")

    def __init__(self, head: bytes) -> None:
        """Go on behind the record that has this hash."""
        self.digest = head
        self._written = hexlify(head)

    def seal(self, head: bytes, copied: bytes, done: bytes) -> bytes:
        """Return the next record, as the function `seal` does.

        Its body is handed over in the three pieces that it is made of, so that they are copied only
        once; the last is nearly always empty.
        """
        hashed = sha256(self.digest)
        hashed.update(head)
        hashed.update(copied)
        if done:
            hashed.update(done)
        previous = self._written
        self.digest = hashed.digest()
        self._written = hexlify(self.digest)
        return b"".join((head, copied, done, _OPEN, previous, _BETWEEN, self._written, _CLOSE))


def unseal(record: bytes) -> Seal:
    """Take a record's seal off, without parsing the record.

    Raises:
        UnsealedError: There is none.
    """
    return Seal(record[:-SEAL_BYTES], *hashes(record))


def next_digest(record: bytes, head: bytes) -> bytes | None:
    """Return a record's hash if it is unaltered and the one right after the record hashed `head`.

    None if it is not, or no record. Takes half as long as to unseal it.
    """
    digest = link(head, record[:-SEAL_BYTES])
    is_sealed = record.endswith(b"".join((_OPEN, hexlify(head), _BETWEEN, hexlify(digest), _CLOSE)))
    return digest if is_sealed else None


def follows(record: bytes, head: bytes) -> bool:
    """Tell whether a record is unaltered and is the one right after the record hashed `head`."""
    return next_digest(record, head) is not None
