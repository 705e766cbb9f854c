"""The table of the states of an input."""

from __future__ import annotations

from bela_module.session.inputs.states import INPUT_TRANSITIONS, InputState, input_state_machine


def test_each_state_has_a_row_and_stopped_is_the_end() -> None:
    assert set(INPUT_TRANSITIONS) == set(InputState)
    assert INPUT_TRANSITIONS[InputState.STOPPED] == frozenset()
    assert all(
        InputState.STOPPED in after or state is InputState.STOPPED
        for state, after in INPUT_TRANSITIONS.items()
    )


def test_it_begins_to_search() -> None:
    changes: list[InputState] = []
    machine = input_state_machine("x", lambda: changes.append(machine.state))
    assert machine.state is InputState.SEARCHING
    machine.move_to(InputState.RECEIVING)
    assert changes == [InputState.RECEIVING]
