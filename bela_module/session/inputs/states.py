"""The states of an input and the table of their transitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from bela_module.state_machine import StateMachine


class InputState(StrEnum):
    """What an input is doing, as STATUS shows it."""

    SEARCHING = "searching"
    """Its stream is looked for."""
    RECEIVING = "receiving"
    """What comes of it goes to the board."""
    REFUSED = "refused"
    """There is a stream, but not one that can be used."""
    STOPPED = "stopped"
    """It was ended by STOP, DISCONNECT_INPUT or CLOSE."""


_S = InputState

INPUT_TRANSITIONS: Final[Mapping[InputState, frozenset[InputState]]] = {
    _S.SEARCHING: frozenset({_S.RECEIVING, _S.REFUSED, _S.STOPPED}),
    _S.RECEIVING: frozenset({_S.SEARCHING, _S.REFUSED, _S.STOPPED}),
    _S.REFUSED: frozenset({_S.SEARCHING, _S.RECEIVING, _S.STOPPED}),
    # Connected again, it is another input of the same name.
    _S.STOPPED: frozenset(),
}


def input_state_machine(name: str, on_change: Callable[[], None]) -> StateMachine[InputState]:
    """Make the state machine of an input.

    Parameters
    ----------
    name : str
        Name of the input, for the log.
    on_change : callable
        Called after each change of state.
    """
    return StateMachine(f"input {name}", InputState.SEARCHING, INPUT_TRANSITIONS, on_change)
