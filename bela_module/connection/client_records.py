"""What a client of a board gives and counts: replies to ``list``, counters, recorded messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bela_module.protocol.control_channel import VariableList


class WireRecorder(Protocol):
    """Recorder of every message of a connection."""

    def begin_connection(self) -> None:
        """Begin another connection, to which the following messages belong."""

    def record(self, channel: str, direction: str, message: str | bytes) -> None:
        """Record one message: channel "control" or "data", direction "in" or "out"."""


@dataclass(frozen=True, slots=True)
class ListReply:
    """A reply to ``list``, with the LSL times before the request left and after it arrived."""

    variable_list: VariableList
    sent_s: float
    received_s: float
    is_proven: bool = False
    """Whether its tick was certainly read after the request had left, also while others ask."""


@dataclass(slots=True)
class ClientCounters:
    """Counts of messages on the control channel besides replies to our own requests."""

    foreign_replies: int = 0
    """Replies that this client did not ask for."""
    bad_frames: int = 0
    """Messages that could not be parsed."""
    other_clients: int = 0
    """Connections of other control clients."""
