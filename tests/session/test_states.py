"""The states of a session: each can be left, and each can be reached."""

from __future__ import annotations

import pytest

from bela_module.session.states import SESSION_TRANSITIONS, SessionState, session_state_machine


@pytest.mark.parametrize("state", SessionState)
def test_every_state_leads_back_to_idle_and_can_be_reached(state: SessionState) -> None:
    reached, new = {state}, {state}
    while new:
        new = {after for before in new for after in SESSION_TRANSITIONS[before]} - reached
        reached |= new
    assert SessionState.IDLE in reached
    assert any(state in after for after in SESSION_TRANSITIONS.values())


def test_it_begins_idle_and_tells_changes() -> None:
    seen: list[SessionState] = []
    machine = session_state_machine(lambda: seen.append(machine.state))
    assert machine.state is SessionState.IDLE
    machine.move_to(SessionState.CONNECTING)
    machine.move_to(SessionState.STREAMING)
    assert seen == [SessionState.CONNECTING, SessionState.STREAMING]


def test_an_idle_session_has_nothing_to_resume(illegal_transitions: list[str]) -> None:
    session_state_machine(lambda: None).move_to(SessionState.RECONNECTING)
    assert illegal_transitions == ["session: no transition from IDLE to RECONNECTING"]
    illegal_transitions.clear()
