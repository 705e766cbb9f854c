"""End watches and monitors that were left on the board, by this session or by others."""

from __future__ import annotations

import logging
from collections.abc import Container

from bela_module.connection.board_client import BoardClient
from bela_module.errors import NoReplyError
from bela_module.protocol.control_commands import monitor_command
from bela_module.session.board.board_state import BoardState
from bela_module.session.time_limits import COMMAND_CONFIRM_S
from bela_module.streams.stream_plans import reachable
from bela_module.validation import named

logger = logging.getLogger(__name__)


async def clear(
    client: BoardClient, board: BoardState, *, ours: Container[str], others: bool
) -> None:
    """End what was left: blocks of earlier watches would be splices of then and now.

    Parameters
    ----------
    client : BoardClient
        The connection, on which a list was just received.
    board : BoardState
        What that list said.
    ours : container of str
        What this session may have left. Its watch is ended even if no list shows it: one that is
        to begin at a later tick does not show before.
    others : bool
        Whether to end what anybody else has left, too.

    Raises
    ------
    BoardError
        When the connection does not last.
    """
    left = [v for v in reachable(board.variables) if others or v.name in ours]
    monitored = [variable.name for variable in left if variable.monitor_period_ticks]
    if monitored:
        await client.send(monitor_command(monitored, [0] * len(monitored)))
    stale = [variable.name for variable in left if variable.watched or variable.name in ours]
    if not stale:
        return
    try:
        await client.unwatch(stale, COMMAND_CONFIRM_S)
    except NoReplyError as error:
        if error.request == "list":
            raise
        # A sparse variable ends only with its next value, which may never come.
        logger.warning("still watched by an earlier client: %s", named(stale))
