"""Which variables other clients watch, told from those that are only left over on the board.

The board ends the watch of a variable with its next value: of a sensor that is rarely touched, or a
variable that is never assigned, it lists one until then, though its end was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container

from bela_module.connection.board_client import BoardClient
from bela_module.session.runtime import Runtime
from bela_module.session.time_limits import OTHERS_HEARD_S, OTHERS_LOOK_S


async def find_other_watches(
    runtime: Runtime, client: BoardClient, ours: Container[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Find out what others watch, by whether anything comes of it.

    Parameters
    ----------
    runtime : Runtime
        The session.
    client : BoardClient
        The connection, on which a list was just received.
    ours : container of str
        Variables that this session watches.

    Returns
    -------
    tuple of str, tuple of str
        What others watch, if a block came of any of it, or a value changed; and what is watched
        without that: left over, as far as one can tell.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    board = runtime.board
    listed = board.watched_by_others(ours)
    if not listed:
        return (), ()
    await client.open_data()
    board.foreign_names.clear()
    values = {variable.name: repr(variable.value_input) for variable in board.find(listed)}
    until_s = runtime.now() + OTHERS_HEARD_S
    while listed and runtime.now() < until_s:
        await asyncio.sleep(OTHERS_LOOK_S)
        await runtime.prober.probe(client)
        listed = board.watched_by_others(ours)
        found = board.find(listed)
        shown = {v.name: repr(v.value_input) for v in found}  # NaN, too, is what it was
        changed = any(values.setdefault(name, text) != text for name, text in shown.items())
        if changed or not board.foreign_names.isdisjoint(listed):
            return listed, ()
    return (), listed
