"""Counts of single values: what comes far too fast is found at once."""

from __future__ import annotations

import pytest

from bela_module.session.delivery.prompt_state import FlushStep, PromptState
from bela_module.session.delivery.time_limits import RATE_WINDOW_S
from bela_module.session.delivery.transport_chooser import LIMIT_HZ

N_ALLOWED = round(LIMIT_HZ * RATE_WINDOW_S)


def test_a_burst_beyond_the_limit_is_found_at_the_first_value_too_many() -> None:
    state = PromptState()
    told = [state.count("bela_a", 100.0 + k * 1e-5) for k in range(N_ALLOWED + 10)]
    first = told.index(True)
    assert first == pytest.approx(N_ALLOWED, abs=2)
    assert all(told[first:])
    assert state.too_fast["bela_a"] > LIMIT_HZ
    assert state.n_singles == {"bela_a": N_ALLOWED + 10}


def test_the_same_values_at_the_limit_go_on_for_ever() -> None:
    state = PromptState()
    assert not any(state.count("bela_a", 100.0 + k / (0.9 * LIMIT_HZ)) for k in range(5000))


def test_streams_are_counted_apart() -> None:
    state = PromptState()
    for k in range(N_ALLOWED + 10):
        state.count("bela_a", 100.0 + k * 1e-5)
    assert not state.count("bela_b", 100.1)


def test_a_connection_that_ends_forgets_what_was_asked_on_it() -> None:
    state = PromptState(asked_s={"a": 5.0}, waiting={"b"}, flushes={"c": FlushStep.BLOCK})
    state.told.add("a")
    assert state.asked_before("a", 6.0)
    assert not state.asked_before("a", 4.0)
    state.connection_lost()
    assert not state.asked_before("a", 6.0)
    assert [state.waiting, state.flushes, state.too_fast] == [set(), {}, {}]
    assert state.told == {"a"}


def test_while_nothing_is_watched_single_values_are_all_that_there_is() -> None:
    state = PromptState(flushes={"a": FlushStep.BLOCK, "b": FlushStep.BEGUN})
    state.flushes["c"] = FlushStep.FIRST_VALUE
    assert [name for name in "abcd" if state.is_unwatched(name)] == ["a", "b"]
