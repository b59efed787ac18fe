"""Which partition a key belongs to, as Kafka's default partitioner says (murmur2)."""

from __future__ import annotations

from aiokafka.partitioner import murmur2


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key. Source: `BuiltInPartitioner.partitionForKey` of Apache Kafka."""
    return int((murmur2(key.encode()) & 0x7FFF_FFFF) % partitions)
