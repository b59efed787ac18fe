"""The topics: which there must be, how they are made, and whether those that exist are right.

A wrong clean-up policy would eat the log (compaction by environment id keeps one record of each),
and unequal partition counts would tear environments away from their checkpoints; both are refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from streamer.errors import TopicError
from streamer.kafka.topic_ids import find_topics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiokafka.admin import AIOKafkaAdminClient

    from streamer.config import KafkaSettings
    from streamer.kafka.client import Connection
    from streamer.kafka.topic_ids import TopicFound

log = structlog.get_logger()

POLL_S: Final = 0.05
"""Between two looks at whether a topic that was just created is known everywhere."""

CREATED_WITHIN_S: Final = 15.0
"""How long a created topic may take to be known to the broker that we ask."""

_UNKNOWN_TOPIC: Final = 3
_ALREADY_EXISTS: Final = 36
_REPLICATED: Final = 3
_SECONDS_A_DAY: Final = 86_400

_COMPACTED: Final = {
    # The active segment is never cleaned, and a week of checkpoints takes minutes to read.
    "segment.ms": "600000",
    "segment.bytes": str(16 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.1",
    "max.compaction.lag.ms": "600000",
}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic that must exist."""

    name: str
    policy: Literal["delete", "compact"]
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is.

    Attributes:
        id: Kafka's own id of it: a topic deleted and made again has another one.
        max_record_bytes: The largest batch that it takes.
        retention_ms: -1 is unlimited.
    """

    name: str
    id: str
    partitions: int
    policy: str
    timestamp_type: str
    max_record_bytes: int
    retention_ms: int


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one deployment, checked."""

    audit: TopicState
    checkpoints: TopicState
    dead_letters: TopicState
    inventory: TopicState

    @property
    def all(self) -> tuple[TopicState, ...]:
        """Each of them."""
        return self.audit, self.checkpoints, self.dead_letters, self.inventory

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(topic.name for topic in self.all)

    @property
    def partitions(self) -> int:
        """How many shards there are."""
        return self.audit.partitions

    @property
    def max_record_bytes(self) -> int:
        """What each of them takes in one batch: an event goes to several."""
        return min(topic.max_record_bytes for topic in self.all)


def specs(settings: KafkaSettings) -> tuple[TopicSpec, ...]:
    """Which topics there must be, in the order of `Topics`."""
    retention_ms = (
        -1
        if settings.retention_days is None
        else round(settings.retention_days * _SECONDS_A_DAY * 1000)
    )
    kept = {
        "retention.ms": str(retention_ms),
        "retention.bytes": "-1",
        "compression.type": "producer",
    }
    return (
        TopicSpec(settings.audit_topic, "delete", kept),
        TopicSpec(settings.checkpoint_topic, "compact", _COMPACTED),
        TopicSpec(settings.dead_letter_topic, "delete", kept),
        TopicSpec(settings.inventory_topic, "compact", _COMPACTED),
    )


async def ensure(connection: Connection, settings: KafkaSettings) -> Topics:
    """Create what is missing, and check what is there.

    Raises:
        KafkaUnreachableError: No broker answered in time.
        TopicError: A topic is not as it must be, or may not be created.
    """
    async with connection.admin() as admin:
        with connection.explained("looking at the topics"):
            async with asyncio.timeout(connection.call_timeout_s):
                found = await _describe(admin, settings)
                missing = [spec for spec in specs(settings) if spec.name not in found]
                if missing:
                    await _create(admin, settings, missing, found)
                    found = await _until_known(admin, settings)
    return checked(found, settings)


async def describe(connection: Connection, settings: KafkaSettings) -> Mapping[str, TopicState]:
    """The topics that exist, by name, as they are.

    Raises:
        KafkaUnreachableError: No broker answered in time.
        TopicError: We may not look at a topic.
    """
    async with connection.admin() as admin:
        with connection.explained("looking at the topics"):
            async with asyncio.timeout(connection.call_timeout_s):
                return await _describe(admin, settings)


def problems(found: Mapping[str, TopicState], settings: KafkaSettings) -> list[TopicError]:
    """What is wrong with the topics, each as the error that it would be."""
    errors = []
    for spec in specs(settings):
        state = found.get(spec.name)
        if state is None:
            errors.append(
                TopicError(
                    where=f"topic {spec.name}",
                    what="it does not exist",
                    next_step="Run `streamer topics create`, or let `streamer run` create it.",
                )
            )
        elif state.policy != spec.policy:
            errors.append(
                TopicError(
                    where=f"topic {spec.name}",
                    what=f"cleanup.policy is {state.policy}, and must be exactly {spec.policy}",
                    next_step=f"Set cleanup.policy={spec.policy} on it, "
                    "or use another STREAMER_KAFKA__TOPIC_PREFIX.",
                )
            )
    counts = {state.name: state.partitions for state in found.values()}
    if len(set(counts.values())) > 1:
        named = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
        errors.append(
            TopicError(
                where="topics",
                what=f"their partition counts differ: {named}",
                next_step="Use another STREAMER_KAFKA__TOPIC_PREFIX: Kafka cannot take partitions "
                "back, and an environment's records would no longer lie beside its checkpoint.",
            )
        )
    return errors


def checked(found: Mapping[str, TopicState], settings: KafkaSettings) -> Topics:
    """The topics, if nothing is wrong with them.

    Raises:
        TopicError: The first thing that is wrong.
    """
    for problem in problems(found, settings):
        raise problem
    return Topics(*(found[spec.name] for spec in specs(settings)))


async def _describe(
    admin: AIOKafkaAdminClient, settings: KafkaSettings
) -> Mapping[str, TopicState]:
    names = [spec.name for spec in specs(settings)]
    known: list[TopicFound] = []
    for topic in await find_topics(admin, names):
        if topic.error != _UNKNOWN_TOPIC:
            _accept(topic.error, topic.name, "look at it")
            known.append(topic)
    if not known:
        return {}
    configs = await _configs(admin, ConfigResourceType.TOPIC, [topic.name for topic in known])
    return {
        topic.name: TopicState(
            name=topic.name,
            id=topic.id,
            partitions=topic.partitions,
            policy=configs[topic.name]["cleanup.policy"],
            timestamp_type=configs[topic.name]["message.timestamp.type"],
            max_record_bytes=int(configs[topic.name]["max.message.bytes"]),
            retention_ms=int(configs[topic.name]["retention.ms"]),
        )
        for topic in known
        if topic.name in configs
    }


async def _configs(
    admin: AIOKafkaAdminClient, kind: ConfigResourceType, names: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    resources = [ConfigResource(kind, name) for name in names]
    configs: dict[str, Mapping[str, str]] = {}
    for response in await admin.describe_configs(resources):
        answer: Any = response
        for code, _, _, name, entries, *_ in answer.resources:
            if code == _UNKNOWN_TOPIC:
                continue
            _accept(code, name, "read its configuration")
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


async def _create(
    admin: AIOKafkaAdminClient,
    settings: KafkaSettings,
    missing: Sequence[TopicSpec],
    found: Mapping[str, TopicState],
) -> None:
    partitions = next((state.partitions for state in found.values()), settings.partitions)
    shared = {"message.timestamp.type": "LogAppendTime", "unclean.leader.election.enable": "false"}
    # The client does not take -1 for "the broker's default", so that it is asked for.
    replicas = await _replicas(admin, settings)
    if replicas >= _REPLICATED:
        shared["min.insync.replicas"] = "2"
    answer: Any = await admin.create_topics(
        [
            NewTopic(
                name=spec.name,
                num_partitions=partitions,
                replication_factor=replicas,
                topic_configs={"cleanup.policy": spec.policy, **shared, **spec.config},
            )
            for spec in missing
        ]
    )
    for name, code, *_ in answer.topic_errors:
        if code != _ALREADY_EXISTS:
            _accept(code, name, "create it")
            log.info("kafka.topic_created", topic=name, partitions=partitions)


async def _replicas(admin: AIOKafkaAdminClient, settings: KafkaSettings) -> int:
    if settings.replication_factor > 0:
        return settings.replication_factor
    cluster = await admin.describe_cluster()
    broker = str(cluster["brokers"][0]["node_id"])
    try:
        configs = await _configs(admin, ConfigResourceType.BROKER, [broker])
    except TopicError:
        raise TopicError(
            where=f"broker {broker}",
            what="its default replication factor may not be read",
            next_step="Set STREAMER_KAFKA__REPLICATION_FACTOR, or give the user of streamer "
            "DescribeConfigs on the cluster.",
        ) from None
    return int(configs.get(broker, {}).get("default.replication.factor", "1"))


async def _until_known(
    admin: AIOKafkaAdminClient, settings: KafkaSettings
) -> Mapping[str, TopicState]:
    names = {spec.name for spec in specs(settings)}
    async with asyncio.timeout(CREATED_WITHIN_S):
        # The broker tells nobody when it knows a new topic, so it is asked.
        while names - (found := await _describe(admin, settings)).keys():  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    return found


def _accept(code: int, topic: str, doing: str) -> None:
    if code == 0:
        return
    error = for_code(code)
    reason = getattr(error, "description", None) or getattr(error, "message", error.__name__)
    if getattr(error, "retriable", False):
        raise error
    raise TopicError(
        where=f"topic {topic}",
        what=f"cannot {doing}: {str(reason).rstrip('.')}",
        next_step="Give the user of streamer the permissions that the README lists, "
        "or create the topics with `streamer topics create` as a user who may.",
    )
