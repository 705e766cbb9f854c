"""Which variables of a board other programs stream, before a recording begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from bela_module.checking.listening import BoardListener, listen
from bela_module.checking.time_limits import WATCH_SHOWS_S
from bela_module.config import BoardSettings
from bela_module.protocol.variables import Variable

_LISTEN_S: Final = 0.8


def streamed_by_others(
    board: BoardSettings, look: Callable[[], Sequence[Variable]]
) -> dict[str, None]:
    """Find the variables that others stream: monitored ones, and watched ones of which data come.

    The board lists as watched, too, what a program has ended whose next value has not come yet.
    What others have just begun to watch is listed so a moment later: it is looked at twice.

    Parameters
    ----------
    board : BoardSettings
        Where it is.
    look : callable
        Asks the board for its variables.

    Returns
    -------
    dict of str to None
        Their names, in the order of the list.
    """
    before = look()
    time.sleep(WATCH_SHOWS_S)
    listed = look()
    monitored = {v.name for v in (*before, *listed) if v.monitor_period_ticks}
    watched = [variable for variable in listed if variable.watched]
    active: set[str] = set()
    if watched:
        listener = BoardListener(board, watched)
        why_not = asyncio.run(listen(listener, _LISTEN_S))
        active = {one.name for one in listener.heard if one.n_blocks} | listener.changed
        if why_not:  # nobody knows: rather no recording than values taken from others
            active = {variable.name for variable in watched}
        listed = look()
    return {v.name: None for v in listed if v.name in monitored or (v.watched and v.name in active)}
