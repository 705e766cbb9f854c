"""What the simulated board has written: payloads, runs and counts of each variable. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Payload(NamedTuple):
    """A payload that the board sends.

    Attributes
    ----------
    tick : int
        When it is sent, which is the tick of its last value.
    position : int
        Position of the variable in the list.
    data : bytes
        The message that follows the header.
    first_tick : int
        Tick of the first value.
    n_values : int
        How many values of the sketch it holds, padding not counted.
    monitor : bool
        Whether it comes from a monitor.
    """

    tick: int
    position: int
    data: bytes
    first_tick: int
    n_values: int
    monitor: bool = False


class WrittenRun(NamedTuple):
    """Consecutive assignments that the board wrote into blocks for its clients.

    Attributes
    ----------
    first_tick, last_tick : int
        Ticks of the first and the last value.
    n_values : int
        How many values that are.
    """

    first_tick: int
    last_tick: int
    n_values: int


class Account(NamedTuple):
    """What became of the values that the board wrote into blocks for its clients.

    Attributes
    ----------
    written : int
        All of them: the sum of the other three.
    sent : int
        Those in blocks that were sent.
    discarded : int
        Those in blocks that a new start of a stream threw away, or that went to a log alone.
    pending : int
        Those in the block that is being filled.
    """

    written: int
    sent: int
    discarded: int
    pending: int
