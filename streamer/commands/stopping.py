"""How a command that runs until it is stopped is stopped."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


def stop_on_signals() -> asyncio.Event:
    """Return an event that the first signal to stop sets.

    What was ignored for us (`nohup`) stays ignored. A second signal ends the process where it
    stands: whoever sends it does not want to wait any more.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    caught = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def ask() -> None:
        stop.set()
        for number in caught:
            loop.remove_signal_handler(number)

    for number in caught:
        loop.add_signal_handler(number, ask)
    return stop


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of the work, or None, and the work cancelled, if the stop comes first."""
    working = asyncio.create_task(work, name="work")
    stopping = asyncio.create_task(stop.wait(), name="wait for a signal")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
