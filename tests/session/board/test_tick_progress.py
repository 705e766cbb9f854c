"""Whether the board's ticks follow time."""

from __future__ import annotations

from bela_module.session.board.tick_progress import TickProgress

RATE_HZ = 44_100.0


def looked_at(*replies: tuple[float, int], ready: bool = False) -> TickProgress:
    progress = TickProgress()
    for received_s, tick in replies:
        progress.add(received_s, tick, RATE_HZ, ready=ready)
    return progress


def test_ticks_that_follow_time_do_not_stand_still() -> None:
    assert not looked_at((0.0, 0), (0.3, 13_230), (0.6, 26_460)).stands_still
    assert not looked_at((0.0, 0), (0.6, 1653)).stands_still  # one a block of 16 frames


def test_it_takes_a_while_to_tell() -> None:
    assert not looked_at((0.0, 7), (0.2, 7)).stands_still
    assert looked_at((0.0, 7), (0.2, 7), (0.3, 7)).stands_still


def test_a_few_ticks_for_something_else_than_time_are_none() -> None:
    assert looked_at((0.0, 0), (0.5, 0), (1.0, 2), (1.5, 40)).stands_still


def test_a_sketch_that_is_paused_when_its_clock_is_known_is_left_to_the_clock() -> None:
    assert not looked_at((0.0, 7), (0.5, 7), ready=True).stands_still


def test_ticks_that_begin_to_follow_time_do_so_from_then_on() -> None:
    progress = looked_at((0.0, 7), (1.0, 7))
    assert progress.stands_still
    progress.add(1.1, 4410, RATE_HZ, ready=False)
    assert not progress.stands_still


def test_after_a_restart_it_is_looked_at_anew() -> None:
    progress = looked_at((0.0, 900), (0.2, 900), (0.3, 0))
    assert not progress.stands_still
