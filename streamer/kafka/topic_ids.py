"""The id that Kafka gives each topic, which tells a topic from another one of the same name.

aiokafka speaks Metadata up to version 5; topic ids came with version 10 (KIP-516), so that one
request and its answer are spelt out here. Source: Kafka protocol guide, Metadata v10.

It also asks without creating: `describe_topics` of aiokafka lets a broker that creates topics by
itself, which is Kafka's default, make those that were only to be looked at.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from io import BytesIO

    from aiokafka.admin import AIOKafkaAdminClient


class _Uuid(AbstractType[uuid.UUID]):
    @classmethod
    @override
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    @override
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


_TAGS = ("tags", TaggedFields)
_NAME = CompactString("utf-8")


class _MetadataResponse(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), _TAGS
            ),
        ),
        ("cluster_id", _NAME),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _NAME),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("cluster_authorized_operations", Int32),
        _TAGS,
    )


class _MetadataRequestV10(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _NAME), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _MetadataRequest(Request[_MetadataRequestV10]):
    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        no_tags: dict[int, bytes] = {}
        self._topics = [(uuid.UUID(int=0), topic, no_tags) for topic in topics]

    @override
    def build(self, request_struct_class: type[_MetadataRequestV10]) -> _MetadataRequestV10:
        create, operations_on_cluster, operations_on_topics = False, False, True
        return request_struct_class(
            self._topics, create, operations_on_cluster, operations_on_topics, {}
        )


class TopicFound(NamedTuple):
    """What the cluster says of a topic that was asked for; an `error` of 0 is none.

    Attributes:
        operations: What this user may do with it, a bit each (KIP-430).
    """

    name: str
    error: int
    id: str
    partitions: int
    operations: int


async def find_topics(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> Sequence[TopicFound]:
    """Ask the cluster for topics by name, and create none of them."""
    response: Any = await admin._send_request(_MetadataRequest(topics))  # noqa: SLF001 - there is no public way to send a request of one's own
    return [
        TopicFound(name, error, str(topic_id), len(partitions), operations)
        for error, name, topic_id, _, partitions, operations, _ in response.topics
    ]
