"""Replies to one message that asks for the list several times, told from those to others. Pure."""

from __future__ import annotations

from typing import Final

from bela_module.protocol.control_channel import VariableList

_ALIKE_S: Final = 0.001  # the board answers such a message at once
_MAX_MORE: Final = 6


class AlikeReplies:
    """Counts replies in a row that have the same tick, or nearly.

    Parameters
    ----------
    wanted : int
        How many there must be.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._tick = 0
        self._n_alike = 0
        self._n_replies = 0

    def are_complete_with(self, reply: VariableList) -> bool:
        """Add a reply; return whether there are as many alike as are wanted.

        Where ticks are too fast to be alike, some more replies will do.
        """
        near_ticks = max(_ALIKE_S * reply.sample_rate_hz, reply.tick_granularity)
        is_alike = self._n_alike > 0 and abs(reply.tick - self._tick) <= near_ticks
        self._n_alike = self._n_alike + 1 if is_alike else 1
        self._tick = reply.tick
        self._n_replies += 1
        enough = self._wanted == 1 or self._n_replies >= self._wanted + _MAX_MORE
        return enough or self._n_alike >= self._wanted
