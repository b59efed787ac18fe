"""How a client's parts are ended, also when its broker does not answer.

aiokafka stops a consumer part by part, and says good-bye to the group in between: where nobody
answers that, its tasks and connections would stay. And it takes a cancellation of whoever waits for
one of its tasks for that of the task, and goes on: what was cancelled would then run for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiokafka import AIOKafkaConsumer

END_WITHIN_S: Final = 5.0
"""How long the parts of a consumer may take to end once they are cancelled: nobody is asked."""


async def is_ended(ending: Awaitable[None], *, within_s: float) -> bool:
    """Wait for the end of a part of the client; whether it came in time, and by itself.

    Raises:
        CancelledError: Whoever waits was cancelled, whatever the client made of it. A cancellation
            of the client's own tasks, which ends such a wait as well, is not raised.
    """
    task = asyncio.current_task()
    cancels = 0 if task is None else task.cancelling()
    ended = False
    try:
        async with asyncio.timeout(within_s):
            await ending
            ended = True
    except (KafkaError, OSError, TimeoutError, asyncio.CancelledError):
        ended = False
    if task is not None and task.cancelling() > cancels:
        raise asyncio.CancelledError
    return ended


async def stop_consumer(consumer: AIOKafkaConsumer, *, within_s: float) -> None:
    """Stop a consumer in order, or end it all the same; bounded, and nothing of it is left.

    Args:
        consumer: Started, or not: one whose start failed has to be stopped too.
        within_s: How long the orderly way may take.

    Raises:
        CancelledError: Whoever stops it was cancelled meanwhile.
    """
    ended = False
    try:
        ended = await is_ended(consumer.stop(), within_s=within_s)
    finally:
        if not ended:
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
    async with contextlib.AsyncExitStack() as parts:
        # They are closed also if whoever stops it is cancelled, again, meanwhile.
        for part in (consumer._client, consumer._fetcher):  # noqa: SLF001
            if part is not None:
                parts.push_async_callback(_close, part)
        if tasks:
            await asyncio.wait(tasks, timeout=END_WITHIN_S)


async def _close(part: Any) -> None:  # noqa: ANN401 - as above
    await is_ended(part.close(), within_s=END_WITHIN_S)
