"""What a topic takes, changed while it is in use, as whoever runs the brokers may do."""

from __future__ import annotations

import asyncio

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource


async def set_limit(servers: str, topic: str, max_message_bytes: int) -> None:
    """Set `max.message.bytes` of a topic; in force when this returns."""

    def alter() -> None:
        entry = ConfigEntry(
            "max.message.bytes",
            str(max_message_bytes),
            incremental_operation=AlterConfigOpType.SET,
        )
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(20)

    await asyncio.to_thread(alter)
