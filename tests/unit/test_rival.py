"""Two workers of one name leave each other turns; an accident costs nothing."""

from __future__ import annotations

from streamer.kafka.rival import LONGEST_WAIT_S, SOON_S, Rival


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Answer as `time.monotonic` does."""
        return self.now_s


def test_whoever_is_thrown_out_again_and_again_stays_away_for_longer() -> None:
    """The waits grow up to half a minute, and are never so long that nobody would be there."""
    clock = Clock()
    rival = Rival(clock)
    waits_s = []
    for _ in range(12):
        rival.let_in()
        clock.now_s += 0.1
        waits_s.append(rival.thrown_out())
    assert waits_s[0] == 0
    assert 0.5 <= waits_s[1] <= 1
    assert 2 <= waits_s[3] <= 4
    assert LONGEST_WAIT_S / 2 <= waits_s[-1] <= LONGEST_WAIT_S


def test_worker_that_was_frozen_comes_back_at_once() -> None:
    """Being thrown out after a long time is an accident, and the next one counts anew."""
    clock = Clock()
    rival = Rival(clock)
    waits_s = []
    for pause_s in (0.1, 0.1, SOON_S + 1, 0.1):
        rival.let_in()
        clock.now_s += pause_s
        waits_s.append(rival.thrown_out())
    assert waits_s[0] == waits_s[2] == waits_s[3] == 0
