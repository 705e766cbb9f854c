"""The course of a schedule, by the ticks of a board whose clock is exact."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.schedule import Schedule
from bela_module.session.delivery.schedule_windows import Window, Windows
from bela_module.session.notices import Notices
from tests.support.session_helpers import Recorder

TICK_RATE_HZ = 1000.0


class Course:
    """A schedule and a time that is set by hand."""

    def __init__(self, windows: Windows | None = None, *, ready: bool = True) -> None:
        self.now_s = 0.0
        self.sink = Recorder()
        self._board = SimpleNamespace(
            ready=ready,
            tick=0,
            clock=SimpleNamespace(tick_rate_hz=TICK_RATE_HZ),
            time_at=lambda tick: tick / TICK_RATE_HZ,
        )
        self._schedule = Schedule(
            cast(BoardState, self._board),
            lambda: self.now_s,
            Notices(self.sink, lambda: self.now_s, lambda *_: None),
            windows or Windows(),
        )

    def at(self, now_s: float) -> Schedule:
        self.now_s = now_s
        self._board.tick = round(now_s * TICK_RATE_HZ)
        return self._schedule


def two_windows() -> Windows:
    return Windows({"a": Window(1000, 2000), "b": Window(1500, 3000)})


def test_it_begins_with_the_first_window_and_is_over_with_the_last() -> None:
    course = Course(two_windows())
    assert not course.at(0.9).has_begun
    assert course.at(1.0).has_begun
    assert not course.at(2.9).is_over
    assert course.at(3.0).is_over
    assert not course.at(3.2).is_late
    assert course.at(3.5).is_late


def test_its_beginning_is_told_once_with_its_time() -> None:
    course = Course(two_windows())
    for now_s in (0.5, 0.99, 1.2, 1.3):
        course.at(now_s).announce()
    assert course.sink.marks == [("schedule_started", 1.0)]


def test_a_variable_is_due_within_its_window() -> None:
    course = Course(two_windows())
    assert not course.at(1.05).is_due("a")  # the board may still be opening it
    assert course.at(1.2).is_due("a")
    assert not course.at(1.2).is_due("b")
    assert not course.at(2.1).is_due("a")


def test_without_windows_it_has_begun_and_is_never_over() -> None:
    schedule = Course().at(5.0)
    assert schedule.has_begun
    assert not schedule.is_over
    assert schedule.is_due("a")
    schedule.announce()
    assert not schedule.is_announced


def test_before_the_clock_is_known_nothing_is_announced() -> None:
    course = Course(two_windows(), ready=False)
    course.at(5.0).announce()
    assert course.sink.marks == []
