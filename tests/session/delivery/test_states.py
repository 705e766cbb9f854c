"""The states of a delivery: interruptions lead there and back, and the end is the end."""

from __future__ import annotations

import pytest

from bela_module.session.delivery.states import (
    DELIVERY_TRANSITIONS,
    INTERRUPTED,
    RESUMED,
    DeliveryState,
    delivery_state_machine,
)


@pytest.mark.parametrize("state", DeliveryState)
def test_everything_can_end_and_nothing_follows(state: DeliveryState) -> None:
    if state is DeliveryState.ENDED:
        assert DELIVERY_TRANSITIONS[state] == frozenset()
    else:
        assert DeliveryState.ENDED in DELIVERY_TRANSITIONS[state]


@pytest.mark.parametrize("state", INTERRUPTED)
def test_an_interruption_leads_there_and_back(state: DeliveryState) -> None:
    assert RESUMED[INTERRUPTED[state]] is state
    assert INTERRUPTED[state] in DELIVERY_TRANSITIONS[state]
    assert state in DELIVERY_TRANSITIONS[INTERRUPTED[state]]


def test_what_has_ended_does_not_stream_again(illegal_transitions: list[str]) -> None:
    machine = delivery_state_machine()
    machine.move_to(DeliveryState.ENDED)
    assert illegal_transitions == []
    machine.move_to(DeliveryState.STREAMING)
    assert illegal_transitions == ["delivery: no transition from ENDED to STREAMING"]
    illegal_transitions.clear()
