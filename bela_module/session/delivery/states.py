"""The states of a delivery and the table of their transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from bela_module.state_machine import StateMachine


class DeliveryState(Enum):
    """How far a delivery has got, and whether the present connection serves it."""

    STARTING = auto()
    """Made; the board was not told to stream yet."""
    STREAMING = auto()
    """The board was told to stream."""
    ENDING = auto()
    """The board was told at which tick to end."""
    STARTING_INTERRUPTED = auto()
    STREAMING_INTERRUPTED = auto()
    ENDING_INTERRUPTED = auto()
    """The same, but the connection was lost or the board restarted: it waits to be resumed."""
    ENDED = auto()
    """All that is certain was delivered; nothing more comes."""


_D = DeliveryState

DELIVERY_TRANSITIONS: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    _D.STARTING: frozenset({_D.STREAMING, _D.ENDING, _D.STARTING_INTERRUPTED, _D.ENDED}),
    _D.STREAMING: frozenset({_D.ENDING, _D.STREAMING_INTERRUPTED, _D.ENDED}),
    _D.ENDING: frozenset({_D.ENDING_INTERRUPTED, _D.ENDED}),
    _D.STARTING_INTERRUPTED: frozenset({_D.STARTING, _D.ENDED}),
    _D.STREAMING_INTERRUPTED: frozenset({_D.STREAMING, _D.ENDING_INTERRUPTED, _D.ENDED}),
    _D.ENDING_INTERRUPTED: frozenset({_D.ENDING, _D.ENDED}),
    _D.ENDED: frozenset(),
}

INTERRUPTED: Final[Mapping[DeliveryState, DeliveryState]] = {
    _D.STARTING: _D.STARTING_INTERRUPTED,
    _D.STREAMING: _D.STREAMING_INTERRUPTED,
    _D.ENDING: _D.ENDING_INTERRUPTED,
}
"""Where an interruption leads to; other states stay as they are."""

RESUMED: Final = {after: before for before, after in INTERRUPTED.items()}
"""Where the next connection leads to."""


def delivery_state_machine() -> StateMachine[DeliveryState]:
    """Make the state machine of a delivery."""
    return StateMachine("delivery", DeliveryState.STARTING, DELIVERY_TRANSITIONS)
