"""From where the topic has to be read back."""

from __future__ import annotations

from contextlib import aclosing

from streamer.capture.cursor import Cursor, Look
from streamer.capture.position import Position
from streamer.capture.seen import Remembered
from streamer.capture.tail import MOST_ENTRIES, Tail
from streamer.config import CaptureSettings
from streamer.flatfile.server_profile import ServerProfile
from tests.support.generated_server import Fact, GeneratedServer, ServerReading, at


def test_tail_is_the_first_commit_that_still_matters() -> None:
    """Commits leave from the left as their newest event is no longer of interest."""
    tail = Tail()
    for commit in range(5):
        tail.add(commit * 10, at(commit))
    assert tail.offset(at(2), 99) == 20
    assert tail.offset(None, 99) == 0
    tail.forget_before(at(3))
    assert tail.offset(None, 99) == 30
    assert tail.offset(at(9), 99) == 99


def test_old_event_in_a_late_commit_does_not_hide_a_newer_one_before_it() -> None:
    """A late event's commit stays behind the commit of a newer event, and goes with it."""
    tail = Tail()
    tail.add(0, at(100))
    tail.add(10, at(5))
    tail.forget_before(at(50))
    assert tail.offset(at(50), 99) == 0


def test_long_queue_is_merged_and_stays_on_the_safe_side() -> None:
    """However many commits there are, the tail is never behind the first that matters."""
    tail = Tail()
    commits = MOST_ENTRIES * 5
    for commit in range(commits):
        tail.add(commit, at(commit))
    assert len(tail._entries) <= MOST_ENTRIES
    for moment in range(0, commits, 997):
        offset = tail.offset(at(moment), commits)
        assert moment - 16 <= offset <= moment


async def test_checkpoint_of_a_capture_has_the_tail_that_its_confirmation_leaves() -> None:
    """`tail_after` says before the commit what `tail` says after it."""
    server = GeneratedServer(ServerReading("oldest", "inclusive", "milliseconds", 10), 1)
    server.now_s = 1000.0
    for number in range(300):
        server.add(Fact(f"e{number}", number * 3.3, 0))
    cursor = Cursor(CaptureSettings(sweep_window=60), ServerProfile(10))
    end = 0
    async with aclosing(cursor.look(Look.FAST, server.fetch)) as captures:
        async for capture in captures:
            first, end = end, end + len(capture.readings)
            promised = cursor.tail_after(capture, first if capture.readings else None, end)
            cursor.confirm(capture, first if capture.readings else None)
            assert cursor.tail(end) == promised
    assert 200 < cursor.tail(end) < 290


def test_restored_cursor_has_the_tail_of_what_it_read_back() -> None:
    """After a restart the tail covers what was read back, as long as that matters."""
    cursor = Cursor(CaptureSettings(), ServerProfile(10))
    cursor.restore(Remembered("e0", at(0)), 40)
    cursor.restore(Remembered("sha256:00", None), 41)
    assert cursor.tail(50) == 40


async def test_tail_keeps_a_restored_record_without_a_time_until_a_later_look_is_published() -> (
    None
):
    """It may be newer than all that has one: a further restart must read it back as well."""
    server = GeneratedServer(ServerReading("oldest", "inclusive", "milliseconds", 10), 1)
    server.now_s = 1000.0
    settings = CaptureSettings(sweep_window=60)
    long_ago = Position(at(500), at(500), at(500), at(450))
    cursor = Cursor(settings, ServerProfile(10), position=long_ago)
    cursor.restore(Remembered("sha256:00", None), 41)
    assert cursor.tail(50) == 41
    for now_s in (1000.0, 1100.0):
        server.now_s = now_s
        async with aclosing(cursor.look(Look.SWEEP, server.fetch)) as captures:
            async for capture in captures:
                assert cursor.tail(50) == 41
                cursor.confirm(capture, None)
    assert cursor.tail(50) == 50
