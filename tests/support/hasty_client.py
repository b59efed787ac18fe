"""`streamer run` whose Kafka client gives EndTxn up early and repeats it where nobody counts.

    python -m tests.support.hasty_client

A worker takes a commit whose EndTxn was sent twice for unknown, and goes on with a new producer. To
this one it looks as if it had been sent once, so that it goes on with the old one, and the first
EndTxn, should it arrive late, has the epoch of a transaction that it was not meant for.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final, NoReturn

from aiokafka import AIOKafkaProducer
from aiokafka.protocol.transaction import EndTxnRequest

from streamer import cli
from streamer.kafka import transaction

GIVEN_UP_AFTER_S: Final = 0.5
"""How long EndTxn may take. Less than half of what a commit may."""


class _Hasty(AIOKafkaProducer):
    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as aiokafka's
        super().__init__(**options)  # type: ignore[no-untyped-call]
        client: Any = self.client
        send = client.send

        async def repeating(node_id: int, request: object, **how: Any) -> object:  # noqa: ANN401 - as aiokafka's
            if isinstance(request, EndTxnRequest):
                try:
                    return await asyncio.wait_for(send(node_id, request, **how), GIVEN_UP_AFTER_S)
                except TimeoutError:
                    # As the client does after its own time-out: on a new connection.
                    client._conns[node_id, how["group"]].close()
            return await send(node_id, request, **how)

        client.send = repeating


def main() -> NoReturn:
    """Run the daemon with the client wrapped."""
    vars(transaction)["AIOKafkaProducer"] = _Hasty
    sys.exit(cli.call(["run"]))


if __name__ == "__main__":
    main()
