"""From when to when the variables of a schedule stream."""

from __future__ import annotations

from bela_module.session.delivery.schedule_windows import Window, Windows


def test_all_of_them_begin_with_the_first_and_end_with_the_last() -> None:
    windows = Windows(a=Window(100, 900), b=Window(50, 60), c=Window(70, 1000))
    assert (windows.first_tick, windows.last_tick) == (50, 1000)


def test_what_is_left_of_them_can_be_watched() -> None:
    windows = Windows(a=Window(100, 900), b=Window(50, 60), c=Window(70, 1000))
    starts = {"a": 100, "b": 60, "c": 600}
    assert windows.to_watch(["a", "b", "c"], starts) == (["a", "c"], [100, 600], [800, 400])


def test_there_may_be_none() -> None:
    assert not Windows()
