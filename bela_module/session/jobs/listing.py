"""LIST, and other queries of the board: its variables, as JSON or as they are used in Python."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.variables import Variable
from bela_module.session.runtime import Runtime


@dataclass(frozen=True, slots=True)
class BoardView:
    """The board as one reply to ``list`` shows it.

    Parameters
    ----------
    project : str
        Name of the project that runs.
    declared_rate_hz, tick_rate_hz : float
        Rate that the sketch declares, and the measured one of its ticks (NaN: not known yet).
    tick : int
        Last tick that had happened.
    variables : tuple of Variable
        All variables, in the board's order.
    """

    project: str
    declared_rate_hz: float
    tick_rate_hz: float
    tick: int
    variables: tuple[Variable, ...]


async def view_board(runtime: Runtime, client: BoardClient) -> BoardView:
    """Ask the board for its variables and the present tick."""
    await runtime.prober.probe(client)
    board = runtime.board
    tick_rate_hz = board.clock.tick_rate_hz if board.clock is not None else math.nan
    return BoardView(
        board.project, board.declared_rate_hz, tick_rate_hz, board.tick, board.variables
    )


async def list_variables(runtime: Runtime, client: BoardClient) -> dict[str, Any]:
    """Describe the board's variables as LIST shows them."""
    await runtime.prober.probe(client)
    board = runtime.board
    return describe_variables(board.project, board.declared_rate_hz, board.tick, board.variables)


def describe_variables(
    project: str, declared_rate_hz: float, tick: int, variables: Iterable[Variable]
) -> dict[str, Any]:
    """Describe the variables of one reply to ``list``, for JSON."""
    return {
        "project": project,
        "sample_rate_hz": declared_rate_hz,
        "tick": tick,
        "variables": [
            {
                "name": variable.name,
                "type": variable.value_type.label,
                "mode": "sparse" if variable.sparse else "dense",
                "value": variable.value if math.isfinite(variable.value) else None,
                "watched": variable.watched,
                "controlled": variable.controlled,
                "monitor_period_ticks": variable.monitor_period_ticks,
                "logged": variable.logged,
            }
            for variable in variables
        ],
    }
