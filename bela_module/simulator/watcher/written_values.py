"""Records of what the simulated board writes: payloads, runs of values, and their counts. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Payload(NamedTuple):
    """A payload that the board sends."""

    tick: int
    """Tick of its last value, at which it is sent."""
    position: int
    """Position of the variable in the list."""
    data: bytes
    """The message that follows the header."""
    first_tick: int
    n_values: int
    """Values of the sketch, without padding."""
    monitor: bool = False


class WrittenRun(NamedTuple):
    """Consecutive assignments that the board wrote into blocks for its clients."""

    first_tick: int
    last_tick: int
    n_values: int


class Account(NamedTuple):
    """Counts of the values that the board wrote into blocks: sent, discarded, pending."""

    written: int
    """Sum of the other three."""
    sent: int
    discarded: int
    """Values of blocks that a new start emptied, or that went to a log alone."""
    pending: int
    """Values of the block that is being filled."""
