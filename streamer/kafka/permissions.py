"""What a user may do on the cluster, as far as the broker tells without anything being written.

Of topics and groups the broker names the operations that it allows (KIP-430); to make a topic is
only tried on; and of transactional ids one is started that belongs to no shard.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from aiokafka.admin import NewTopic
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request
from typing_extensions import override

from streamer.errors import KafkaNotReadyError
from streamer.kafka.topic_ids import find_topics
from streamer.kafka.topics import specs
from streamer.kafka.transaction import TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiokafka.admin import AIOKafkaAdminClient

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection

POLL_S: Final = 0.1
"""Between two looks at a group whose coordinator is not there yet."""

PROBE: Final = "check"
"""Ends the transactional id that is tried: that of no shard, so that nobody is fenced."""

_UNKNOWN_TOPIC: Final = 3
_TOPIC_FORBIDDEN: Final = 29


class Operation(IntEnum):
    """What is allowed or not; the value is the number of its bit. Source: KIP-430."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10


_WORDS: Final = {
    Operation.READ: "Read",
    Operation.WRITE: "Write",
    Operation.CREATE: "Create",
    Operation.DESCRIBE: "Describe",
    Operation.DESCRIBE_CONFIGS: "DescribeConfigs",
}
_ON_TOPIC: Final = (
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.READ,
    Operation.WRITE,
)
_ON_GROUP: Final = (Operation.DESCRIBE, Operation.READ)


async def refusals(connection: Connection, settings: KafkaSettings) -> list[KafkaNotReadyError]:
    """What the user may not do and needs to; empty if nothing was found.

    What it may do with topics that are not there yet shows only once they are: whether it may
    create them is looked at.

    Raises:
        KafkaUnreachableError: No broker answered in time.
    """
    found: list[KafkaNotReadyError] = []
    for look in (_topics, _transactional_id, _group):
        with connection.explained("looking at the permissions"):
            async with asyncio.timeout(connection.call_timeout_s):
                found += await look(connection, settings)
    return found


async def _topics(connection: Connection, settings: KafkaSettings) -> Sequence[KafkaNotReadyError]:
    names = [spec.name for spec in specs(settings)]
    lacking: dict[tuple[Operation, ...], list[str]] = {}
    async with connection.admin() as admin:
        found = await find_topics(admin, names)
        absent = [topic.name for topic in found if topic.error == _UNKNOWN_TOPIC]
        if forbidden := await _not_to_be_created(admin, absent):
            lacking[Operation.CREATE,] = forbidden
    for topic in found:
        if topic.error != _UNKNOWN_TOPIC:
            lacks = _lacking(_ON_TOPIC, topic.operations, seen=topic.error != _TOPIC_FORBIDDEN)
            lacking.setdefault(lacks, []).append(topic.name)
    return [
        _refusal(f"{'topic' if len(topics) == 1 else 'topics'} {', '.join(sorted(topics))}", lacks)
        for lacks, topics in lacking.items()
        if lacks
    ]


async def _not_to_be_created(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    answer: Any = await admin.create_topics(
        [NewTopic(name, num_partitions=1, replication_factor=1) for name in names],
        validate_only=True,
    )
    return [name for name, code, *_ in answer.topic_errors if code == _TOPIC_FORBIDDEN]


async def _transactional_id(
    connection: Connection, settings: KafkaSettings
) -> Sequence[KafkaNotReadyError]:
    prefix = f"streamer.{settings.audit_topic}"
    producer = TransactionalProducer(
        connection,
        transactional_id=f"{prefix}.{PROBE}",
        partition=0,
        compression="none",
        transaction_timeout_s=settings.transaction_timeout,
    )
    try:
        await producer.start()
    except KafkaNotReadyError as error:
        if not isinstance(error.__cause__, TransactionalIdAuthorizationFailed):
            raise
        # Nothing tells which of the two it is.
        return [_refusal(f"transactional ids {prefix}.*", (Operation.DESCRIBE, Operation.WRITE))]
    finally:
        await producer.discard()
    return []


async def _group(connection: Connection, settings: KafkaSettings) -> Sequence[KafkaNotReadyError]:
    async with connection.admin() as admin:
        lacks = await _lacking_on_group(admin, settings.group_id)
    return [_refusal(f"group {settings.group_id}", lacks)] if lacks else []


async def _lacking_on_group(admin: AIOKafkaAdminClient, group_id: str) -> tuple[Operation, ...]:
    while True:
        try:
            coordinator = await admin.find_coordinator(group_id)
            answer: Any = await admin._send_request(_DescribeGroup(group_id), coordinator)  # noqa: SLF001 - as in `topic_ids`
            ((code, *_, operations),) = answer.groups
            if code:
                raise for_code(code)
            return _lacking(_ON_GROUP, operations)
        except GroupAuthorizationFailedError:
            return _ON_GROUP
        except KafkaError as error:
            if not error.retriable:
                raise
        # The first one who asks for a group makes the broker create the topic behind it.
        await asyncio.sleep(POLL_S)


class _DescribeGroupV3(DescribeGroupsRequest_v3):
    # aiokafka names the answer of version 2 here, which has no operations.
    RESPONSE_TYPE = DescribeGroupsResponse_v3  # type: ignore[assignment]


class _DescribeGroup(Request[_DescribeGroupV3]):
    API_KEY = DescribeGroupsRequest_v3.API_KEY

    def __init__(self, group_id: str) -> None:
        self._group_id = group_id

    @override
    def build(self, request_struct_class: type[_DescribeGroupV3]) -> _DescribeGroupV3:
        include_authorized_operations = True
        return request_struct_class([self._group_id], include_authorized_operations)


def _lacking(
    needed: Iterable[Operation], allowed: int, *, seen: bool = True
) -> tuple[Operation, ...]:
    """Those that are not among the bits of what is allowed; all, if nothing may be seen."""
    return tuple(one for one in needed if not seen or not allowed >> one & 1)


def _refusal(where: str, lacks: Iterable[Operation]) -> KafkaNotReadyError:
    return KafkaNotReadyError(
        where=where,
        what=f"not allowed: {', '.join(_WORDS[one] for one in lacks)}",
        next_step="Give the user of streamer the permissions that the README lists.",
    )
