"""Carries out the survey of steps on a connected board, before its variables are watched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_channel import Json
from bela_module.protocol.data_channel import Block, Variable
from bela_module.session.board_state import Board
from bela_module.tracking.step_survey import StepSurvey

_POLL_S: Final = 0.005
_PATIENCE_S: Final = 0.15  # a monitor's first message comes at once
_SECOND_S: Final = 0.5  # for the second value of a variable
_LONGEST_S: Final = 2.0
_N_SPACINGS: Final = 9
_PERIOD_S: Final = 0.003
_VALUES_PER_S: Final = 2000


@dataclass(slots=True)
class Surveyor:
    """Asks the board how far the values of dense variables are apart.

    Parameters
    ----------
    board : Board
        Which of them are known already, and where the answers are kept.
    now : callable
        LSL seconds.
    probe : callable
        Asks the board for its list once.
    """

    board: Board
    now: Callable[[], float]
    probe: Callable[[BoardClient], Awaitable[object]]
    _survey: StepSurvey | None = None
    _sends: list[Json] = field(default_factory=list)

    def take(self, block: Block) -> bool:
        """Take a block when it is a monitor's of a variable that is being surveyed.

        Returns
        -------
        bool
            Whether it was.
        """
        if self._survey is None or not block.monitor or block.variable.index not in self._survey:
            return False
        self._sends += self._survey.add(block)
        return True

    async def find_steps(self, client: BoardClient, variables: Iterable[Variable]) -> None:
        """Find the steps of those variables of which they are not known.

        Raises
        ------
        BoardError
            When the board does not answer.
        """
        board = self.board
        unknown = [
            variable
            for variable in variables
            if not variable.sparse
            and variable.name not in board.steps
            and variable.monitor_period_ticks == 0
        ]
        if not unknown:
            return
        period_s = max(_PERIOD_S, len(unknown) / _VALUES_PER_S)
        survey = self._survey = StepSurvey(unknown, round(period_s * board.declared_rate_hz))
        begun_s = self.now()
        try:
            await client.send(*survey.first_commands())
            while not survey.done and not client.lost.done():
                sends, self._sends = self._sends, []
                await client.send(*sends)
                await asyncio.sleep(_POLL_S)
                await self.probe(client)
                if self.now() > begun_s + self._patience_s(survey, period_s):
                    break
            await client.send(*survey.last_commands())
            await self.probe(client)  # its reply comes after the last of the monitors' messages
        finally:
            self._survey = None
            self._sends = []
        for variable in unknown:
            if variable.index in survey.steps:
                board.steps[variable.name] = survey.steps[variable.index]

    def _patience_s(self, survey: StepSurvey, period_s: float) -> float:
        """Tell how long the survey may take: longer where values are seen to come slowly."""
        if not survey.answered:
            return _PATIENCE_S
        spacing_s = survey.spacing_ticks / self.board.declared_rate_hz
        slow_s = max(_N_SPACINGS * spacing_s, _SECOND_S if survey.awaits_second else 0.0)
        return max(2 * _PATIENCE_S + 12 * period_s, min(slow_s, _LONGEST_S))
