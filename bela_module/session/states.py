"""The states of a session, as STATUS shows them, and the table of their transitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from bela_module.state_machine import StateMachine


class SessionState(StrEnum):
    """What a session is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    WAITING = "waiting"
    PREPARED = "prepared"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    STOPPING = "stopping"


_S = SessionState

SESSION_TRANSITIONS: Final[Mapping[SessionState, frozenset[SessionState]]] = {
    # Nothing is asked for; a command, or something that was left on the board, needs a connection.
    _S.IDLE: frozenset({_S.CONNECTING, _S.PREPARED, _S.STREAMING, _S.STOPPING, _S.WAITING}),
    # A connection is being made for a command.
    _S.CONNECTING: frozenset({_S.IDLE, _S.WAITING, _S.PREPARED, _S.STREAMING, _S.STOPPING}),
    # There is no board; commands that wait for one are kept.
    _S.WAITING: frozenset({_S.IDLE, _S.PREPARED, _S.STREAMING, _S.RECONNECTING, _S.STOPPING}),
    # Outlets are open, and wait for a START or SCHEDULE.
    _S.PREPARED: frozenset({_S.IDLE, _S.STREAMING, _S.RECONNECTING, _S.STOPPING}),
    # Something streams, is scheduled or is monitored.
    _S.STREAMING: frozenset({_S.IDLE, _S.PREPARED, _S.RECONNECTING, _S.STOPPING}),
    # The board was lost while something streamed, which goes on when it is back.
    _S.RECONNECTING: frozenset(
        {_S.IDLE, _S.PREPARED, _S.STREAMING, _S.STOPPING, _S.CONNECTING, _S.WAITING}
    ),
    # What streams is being ended.
    _S.STOPPING: frozenset({_S.IDLE, _S.PREPARED, _S.STREAMING, _S.RECONNECTING}),
}


def session_state_machine(on_change: Callable[[], None]) -> StateMachine[SessionState]:
    """Make the state machine of a session, which begins idle.

    Parameters
    ----------
    on_change : callable
        Called after each change of state.
    """
    return StateMachine("session", SessionState.IDLE, SESSION_TRANSITIONS, on_change)
