"""Which client is the control room, and which client a newcomer displaces. Pure.

A control room takes everything that it reads for a callback. It asks for ``GET_PCOMMS`` once and
sends ``UP`` every second, or, when it did not start the module itself, only connects.
"""

from __future__ import annotations

from collections.abc import Sequence

from bela_module.server.client_connection import ClientConnection


def choose_control_room(
    connections: Sequence[ClientConnection], now_s: float
) -> ClientConnection | None:
    """Return the connection that takes callbacks; `connections` are in the order of their age.

    It is the one with the most ``UP`` of late among those that asked for ``GET_PCOMMS``; else one
    that has sent both before; else the oldest.
    """
    alive = [one for one in connections if one.ended_s is None and not one.closed]
    rooms = [one for one in alive if one.asked_pcomms and one.last_up_s is not None]
    polling = [one for one in rooms if one.recent_ups(now_s)]
    if polling:
        return max(polling, key=lambda one: one.recent_ups(now_s))
    return next(iter([*rooms, *alive]), None)


def displaceable(connections: Sequence[ClientConnection], now_s: float) -> ClientConnection | None:
    """Return the client that a newcomer displaces: the longest silent one that is no control room.

    None: all are control rooms that poll.
    """
    room = choose_control_room(connections, now_s)
    others = [
        one
        for one in connections
        if one is not room and not (one.is_control_room and one.recent_ups(now_s))
    ]
    return min(others, key=lambda one: one.last_received_s, default=None)
