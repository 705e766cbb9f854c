"""Commands and their echoes: every command is counted once, whatever became of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bela_module.inputs.loop_account import LAST_NUMBER, LoopAccount, next_number, summarize


def running(*numbers: int) -> LoopAccount:
    """Make an account in which command 1 has come back, and others are sent at their number."""
    account = LoopAccount()
    account.note_sent(1, 1.0, 1.0)
    account.note_echoes([1], [1.001], 1e-4, 1.002)
    for number in numbers:
        account.note_sent(number, float(number), float(number))
    return account


def counts(account: LoopAccount) -> tuple[int, int, int, int]:
    return account.echoed, account.superseded, account.lost, account.outstanding


def test_delays_are_from_the_stamp_of_the_input() -> None:
    account = running(2)
    (sample,) = account.note_echoes([2], [2.003], 0.0005, 2.004)
    assert sample.number == 2
    assert (sample.one_way_s, sample.round_trip_s) == pytest.approx((0.003, 0.004))
    assert (sample.effect_s, sample.uncertainty_s) == (2.003, 0.0005)
    status = account.status()
    assert status["one_way_s"] == {"p50": 0.002, "p99": 0.00298, "max": 0.003}


def test_a_later_echo_on_the_same_connection_supersedes() -> None:
    account = running(2, 3, 4)
    account.note_echoes([4], [4.1], 0.0, 4.2)
    assert counts(account) == (2, 2, 0, 0)


def test_across_a_connection_nobody_can_tell() -> None:
    account = running(2, 3)
    account.note_disconnected()
    for number in (4, 5):
        account.note_sent(number, float(number), float(number))
    account.note_echoes([5], [5.1], 0.0, 5.2)
    assert counts(account) == (2, 1, 2, 0)


def test_with_echoes_missing_nobody_can_tell_either() -> None:
    account = running(2, 3, 4)
    account.note_missing_echoes()
    account.note_echoes([3], [3.1], 0.0, 3.2)
    account.note_echoes([4], [4.1], 0.0, 4.2)
    assert counts(account) == (3, 0, 1, 0)


def test_a_late_echo_corrects_the_count_and_a_second_one_is_doubled() -> None:
    account = running(2, 3)
    account.note_echoes([3], [3.1], 0.0, 3.2)
    assert len(account.note_echoes([2], [2.1], 0.0, 3.3)) == 1
    assert counts(account) == (3, 0, 0, 0)
    assert account.note_echoes([2, 3], [2.1, 3.1], 0.0, 3.4) == []
    assert account.doubled == 2


def test_what_was_never_sent_is_anothers() -> None:
    account = running()
    assert account.note_echoes([99], [1.0], 0.0, 1.0) == []
    assert account.foreign == 1


def test_before_the_first_echo_nothing_is_known_to_be_watched() -> None:
    account = LoopAccount()
    for number in (1, 2, 3):
        account.note_sent(number, 0.0, 0.0)
    account.note_echoes([2], [0.1], 0.0, 0.2)
    assert (account.unmeasured, account.superseded, account.outstanding) == (1, 0, 1)
    account.begin()
    assert (account.unmeasured, account.outstanding) == (2, 0)
    account.note_sent(4, 0.0, 0.0)
    assert account.expire(1.0) == 1
    assert (account.unmeasured, account.lost) == (3, 0)


def test_what_does_not_come_back_is_lost_in_the_end() -> None:
    account = running(2, 3)
    assert account.expire(2.5) == 1
    assert counts(account) == (1, 0, 1, 1)


def test_numbers_begin_again_where_a_float_ends() -> None:
    assert next_number(1) == 2
    assert next_number(LAST_NUMBER - 1) == LAST_NUMBER
    assert next_number(LAST_NUMBER) == 1


def test_no_delays_no_figures() -> None:
    assert summarize([]) is None


def test_memory_is_bounded() -> None:
    account = running()
    for number in range(2, 100_002):
        account.note_sent(number, 0.0, 0.0)
    assert account.outstanding == 65_536
    assert account.sent == account.echoed + account.lost + account.outstanding


@given(st.lists(st.tuples(st.sampled_from("sedmbx"), st.integers(0, 5)), max_size=200))
def test_each_command_is_counted_exactly_once(steps: list[tuple[str, int]]) -> None:
    account = LoopAccount()
    number, now_s = 1, 0.0
    for kind, back in steps:
        now_s += 1.0
        if kind == "s":
            account.note_sent(number, now_s, now_s)
            number += 1
        elif kind == "e":
            account.note_echoes([number - 1 - back], [now_s], 0.0, now_s)
        elif kind == "d":
            account.note_disconnected()
        elif kind == "m":
            account.note_missing_echoes()
        elif kind == "b":
            account.begin()
        else:
            account.expire(now_s - 3.0)
        ended = account.echoed + account.superseded + account.lost + account.unmeasured
        assert account.sent == number - 1 == ended + account.outstanding
        assert min(account.echoed, account.superseded, account.lost, account.unmeasured) >= 0
