"""The states of a stream: the table of transitions, and which call leads to which state."""

from __future__ import annotations

import pytest

from bela_module.streams.states import STREAM_TRANSITIONS, StreamState, stream_state_machine


@pytest.mark.parametrize("state", StreamState)
def test_every_state_can_fail_and_nothing_follows(state: StreamState) -> None:
    if state is StreamState.FAILED:
        assert STREAM_TRANSITIONS[state] == frozenset()
    else:
        assert StreamState.FAILED in STREAM_TRANSITIONS[state]


def test_a_stream_that_failed_is_not_opened_again(illegal_transitions: list[str]) -> None:
    machine = stream_state_machine("bela_ramp")
    assert machine.state is StreamState.UNOPENED
    machine.move_to(StreamState.FAILED)
    assert illegal_transitions == []
    machine.move_to(StreamState.DELIVERING)
    assert illegal_transitions == ["stream bela_ramp: no transition from FAILED to DELIVERING"]
    illegal_transitions.clear()
