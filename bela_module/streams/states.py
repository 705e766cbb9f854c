"""The states of a running stream and the table of their transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from bela_module.state_machine import StateMachine


class StreamState(Enum):
    """Whether a stream is open in its sink, and what becomes of its samples."""

    UNOPENED = auto()
    """Its nominal rate or the board's clock is not known yet: samples are held."""
    DELIVERING = auto()
    """Samples go into the sink as they come."""
    FAILED = auto()
    """The sink takes no more of it: samples are counted as lost."""


_S = StreamState

STREAM_TRANSITIONS: Final[Mapping[StreamState, frozenset[StreamState]]] = {
    _S.UNOPENED: frozenset({_S.DELIVERING, _S.FAILED}),
    # The board restarted: what comes now can be stamped only when its new clock is known.
    _S.DELIVERING: frozenset({_S.UNOPENED, _S.FAILED}),
    _S.FAILED: frozenset(),
}


def stream_state_machine(name: str) -> StateMachine[StreamState]:
    """Make the state machine of a stream.

    Parameters
    ----------
    name : str
        Name of the stream, for the log.
    """
    return StateMachine(f"stream {name}", StreamState.UNOPENED, STREAM_TRANSITIONS)
