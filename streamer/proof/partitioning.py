"""Which partition Kafka's default partitioner gives a key: murmur2, as the Java client has it.

Written out here although a library has it: the writer uses that one, and a mistake in it would be
invisible to a verifier that used it as well.

Source: `Utils.murmur2` and `BuiltInPartitioner.partitionForKey` of Apache Kafka.
"""

from __future__ import annotations

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFF_FFFF
_POSITIVE: Final = 0x7FFF_FFFF


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that a key belongs to."""
    return (_murmur2(key) & _POSITIVE) % partitions


def _murmur2(data: bytes) -> int:
    hashed = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        hashed = (hashed * _M & _MASK) ^ word
    if rest := data[whole:]:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return hashed ^ hashed >> 15
