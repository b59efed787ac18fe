"""`streamer run` on a cluster that does not tell what its topics take.

    python -m tests.support.hidden_limits

Wraps the Kafka client and nothing of the product: whatever `max.message.bytes` is, the answer is
Kafka's default. So a broker that refuses a record has reasons of its own.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient

from streamer import cli

DEFAULT: Final = "1048588"


def _hide_limits() -> None:
    describe = AIOKafkaAdminClient.describe_configs

    async def hiding(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as the client's
        responses = await describe(self, *args, **options)
        for response in responses:
            answer: Any = response
            for *_, entries in answer.resources:
                entries[:] = [
                    (name, DEFAULT if name == "max.message.bytes" else value, *rest)
                    for name, value, *rest in entries
                ]
        return responses

    AIOKafkaAdminClient.describe_configs = hiding  # type: ignore[method-assign]


if __name__ == "__main__":
    _hide_limits()
    sys.exit(cli.call(["run"]))
