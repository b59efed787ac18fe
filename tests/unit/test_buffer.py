"""The byte budget of captured pages: who waits, who passes, and what is left over."""

from __future__ import annotations

import asyncio

from streamer.capture.buffer import Buffer


async def settled() -> None:
    """Let everybody run until they wait for something."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_room_is_taken_without_waiting() -> None:
    """Pages that fit together are held together."""
    buffer = Buffer(100)
    async with asyncio.timeout(1):
        await buffer.reserve(60)
        await buffer.reserve(40)


async def test_page_without_room_waits_until_there_is() -> None:
    """What does not fit waits, and goes on once enough was given back, not before."""
    buffer = Buffer(100)
    await buffer.reserve(60)
    await buffer.reserve(40)
    waiting = asyncio.ensure_future(buffer.reserve(50))
    await settled()
    assert not waiting.done()
    buffer.release(40)
    await settled()
    assert not waiting.done()
    buffer.release(60)
    await settled()
    assert waiting.done()


async def test_page_larger_than_the_whole_budget_passes_alone() -> None:
    """A page that can never fit waits until nothing else is held, and holds up the next."""
    buffer = Buffer(100)
    await buffer.reserve(10)
    large = asyncio.ensure_future(buffer.reserve(1000))
    await settled()
    assert not large.done()
    buffer.release(10)
    await settled()
    assert large.done()
    small = asyncio.ensure_future(buffer.reserve(1))
    await settled()
    assert not small.done()
    buffer.release(1000)
    await settled()
    assert small.done()


async def test_page_that_turned_out_larger_counts_with_its_size() -> None:
    """What was adjusted counts: upwards it keeps others waiting, downwards it does not."""
    buffer = Buffer(100)
    await buffer.reserve(50)
    buffer.adjust(40)
    waiting = asyncio.ensure_future(buffer.reserve(20))
    await settled()
    assert not waiting.done()
    buffer.release(90)
    await settled()
    assert waiting.done()
    buffer.adjust(-20)
    async with asyncio.timeout(1):
        await buffer.reserve(100)


async def test_reservation_that_is_given_up_takes_nothing() -> None:
    """Whoever stops waiting leaves the budget as it was, and the next one gets on."""
    buffer = Buffer(100)
    await buffer.reserve(100)
    given_up = asyncio.ensure_future(buffer.reserve(100))
    await settled()
    given_up.cancel()
    await asyncio.wait({given_up})
    buffer.release(100)
    async with asyncio.timeout(1):
        await buffer.reserve(100)


async def test_whoever_is_cancelled_as_its_turn_comes_holds_nothing() -> None:
    """A page that is given up at the moment when there was room for it leaves that to the next."""
    buffer = Buffer(100)
    await buffer.reserve(100)
    given_up = asyncio.ensure_future(buffer.reserve(100))
    await settled()
    buffer.release(100)
    given_up.cancel()
    await asyncio.wait({given_up})
    assert buffer.held_bytes == 0
    async with asyncio.timeout(1):
        await buffer.reserve(100)


async def test_page_that_turned_out_smaller_lets_the_next_one_pass() -> None:
    """Room that a smaller page leaves is given to whoever waits, at once."""
    buffer = Buffer(100)
    await buffer.reserve(100)
    waiting = asyncio.ensure_future(buffer.reserve(50))
    await settled()
    buffer.adjust(-50)
    await settled()
    assert waiting.done()


async def test_one_look_at_a_time_goes_beyond_the_limit() -> None:
    """Of many looks that hold pages and need more, one gets on, and the next once it has ended."""
    buffer = Buffer(100)
    looks = [object() for _ in range(3)]
    await buffer.reserve(90)
    more = [asyncio.ensure_future(buffer.extend(30, look)) for look in looks]
    await settled()
    assert [one.done() for one in more] == [True, False, False]
    again = asyncio.ensure_future(buffer.extend(30, looks[0]))
    await settled()
    assert again.done()
    assert buffer.held_bytes == 150
    buffer.release(60)
    buffer.end_overdraft(looks[0])
    await settled()
    assert [one.done() for one in more] == [True, True, False]


async def test_look_that_goes_on_comes_before_one_that_begins() -> None:
    """Room that is given back goes to who holds pages already: that brings back more."""
    buffer = Buffer(100)
    await buffer.reserve(100)
    await buffer.extend(10, holder := object())
    begins = asyncio.ensure_future(buffer.reserve(10))
    goes_on = asyncio.ensure_future(buffer.extend(50, object()))
    await settled()
    assert not goes_on.done()
    buffer.release(60)
    await settled()
    assert (goes_on.done(), begins.done()) == (True, False)
    buffer.end_overdraft(holder)
    buffer.release(20)
    await settled()
    assert begins.done()


async def test_extension_that_is_given_up_takes_nothing() -> None:
    """Whoever is cancelled while it waits for more, or as it comes, holds none of it."""
    buffer = Buffer(100)
    await buffer.reserve(100)
    await buffer.extend(10, holder := object())
    waits = asyncio.ensure_future(buffer.extend(10, object()))
    await settled()
    waits.cancel()
    await asyncio.wait({waits})
    comes = asyncio.ensure_future(buffer.extend(10, other := object()))
    await settled()
    buffer.end_overdraft(holder)
    comes.cancel()
    await asyncio.wait({comes})
    buffer.end_overdraft(other)
    buffer.release(110)
    assert buffer.held_bytes == 0
