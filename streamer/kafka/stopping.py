"""How a consumer is ended, also when its broker does not answer.

aiokafka stops a consumer part by part, and says good-bye to the group in between: where nobody
answers that, its tasks and connections would stay.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiokafka import AIOKafkaConsumer

END_WITHIN_S: Final = 5.0
"""How long the parts of a consumer may take to end once they are cancelled: nobody is asked."""


async def stop_consumer(consumer: AIOKafkaConsumer, *, within_s: float) -> None:
    """Stop a consumer in order, or end it all the same; bounded, and nothing of it is left.

    Args:
        consumer: Started, or not: one whose start failed has to be stopped too.
        within_s: How long the orderly way may take.

    Raises:
        CancelledError: Whoever stops it was cancelled meanwhile.
    """
    task = asyncio.current_task()
    cancels = 0 if task is None else task.cancelling()
    with contextlib.suppress(KafkaError, OSError, TimeoutError), _unless_cancelled():
        async with asyncio.timeout(within_s):
            await consumer.stop()
            if task is not None and task.cancelling() > cancels:
                # aiokafka takes it for that of the task of its own that it waited for.
                raise asyncio.CancelledError
            return
    await _end(consumer)


async def _end(consumer: Any) -> None:  # noqa: ANN401 - what is ended has no public handle
    names = (
        "_coordination_task",
        "_heartbeat_task",
        "_commit_refresh_task",
        "_reset_committed_task",
    )
    own = (getattr(consumer._coordinator, name, None) for name in names)  # noqa: SLF001
    fetches = getattr(consumer._fetcher, "_pending_tasks", ())  # noqa: SLF001
    tasks = [task for task in (*own, *fetches) if task is not None and not task.done()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=END_WITHIN_S)
    for part in (consumer._fetcher, consumer._client):  # noqa: SLF001
        if part is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError), _unless_cancelled():
                async with asyncio.timeout(END_WITHIN_S):
                    await part.close()


@contextlib.contextmanager
def _unless_cancelled() -> Iterator[None]:
    """Let through the cancellation of the task that runs this, and no other.

    aiokafka cancels fetches of its own and waits for them, and such a wait ends as if it was us who
    were cancelled: so it is where the broker is away and a fetch waits for its next attempt.
    """
    task = asyncio.current_task()
    cancels = 0 if task is None else task.cancelling()
    try:
        yield
    except asyncio.CancelledError:
        if task is not None and task.cancelling() > cancels:
            raise
