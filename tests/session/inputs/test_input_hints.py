"""Mistakes of the measurement of commands, in words."""

from __future__ import annotations

import pytest

from bela_module.session.inputs.active_inputs import ActiveInputs
from bela_module.session.inputs.input_hints import echo_hint, stamp_hint
from tests.support.made_input import Made

NOW_S = 5000.0


@pytest.mark.parametrize(
    ("stamp_s", "words"),
    [
        (1.7e9, "1699995000 s ahead of LSL's clock"),
        (0.5, "5000 s behind LSL's clock"),
        (float("nan"), "no times"),
        (float("inf"), "no times"),
        (NOW_S + 0.9, ""),
        (NOW_S - 599.0, ""),
    ],
)
def test_stamps_of_another_clock_are_told(stamp_s: float, words: str) -> None:
    told = stamp_hint(Made().one, stamp_s, NOW_S)
    assert told.startswith(f"input level: its stamps are {words}, so" if words else "")
    assert bool(told) == bool(words)


def test_an_echo_that_does_not_stream_is_told() -> None:
    one = Made(echo="echo").found().one
    assert "'echo' does not stream: START it, too" in echo_hint(one, {"level": 0})
    assert echo_hint(one, {"level": 0, "echo": 0}) == echo_hint(one, None) == ""
    assert echo_hint(Made().found().one, {"level": 0}) == ""
    assert echo_hint(Made(echo="echo").one, {"level": 0}) == ""  # nothing is received


def test_commands_of_which_none_comes_back_are_told() -> None:
    one = Made(echo="echo", type="i").found().one
    for number in range(1, 5):
        one.account.note_sent(number, 0.0, 0.0)
    one.account.expire(1.0)
    assert echo_hint(one, {"echo": 512}) == ""  # which the board may still keep
    told = echo_hint(one, {"echo": 0})
    assert told.startswith("input level: none of its commands comes back in 'echo': the sketch")
    assert "buffer 0 of type 'i'" in told
    one.account.note_sent(5, 2.0, 2.0)
    one.account.note_echoes([5], [2.1], 0.001, 2.2)
    assert echo_hint(one, {"echo": 0}) == ""
    one.account.note_sent(6, 3.0, 3.0)
    one.account.expire(4.0)
    assert (one.account.unanswered, one.account.lost) == (0, 1)  # of which none tells why


def test_hints_are_problems_while_they_last_and_new_once() -> None:
    inputs, one = ActiveInputs(), Made().found().one
    inputs.by_name["level"] = one
    assert one.hint("echo", "a")
    assert not one.hint("echo", "b")
    assert inputs.problems == ("a",)
    assert not one.hint("echo", "")
    assert inputs.problems == ()
    assert one.hint("echo", "c")
    one.stop("stopped")
    assert inputs.problems == ()
