"""Survey of the steps of dense variables on a connected board, before they are watched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.protocol.control_commands import Json
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.time_limits import (
    FIRST_VALUE_S,
    HURRIED_SURVEY_S,
    LONGEST_SURVEY_S,
    POLL_S,
    SECOND_VALUE_S,
    SHARED_SURVEY_S,
)
from bela_module.tracking.step_survey import StepSurvey

_N_SPACINGS: Final = 9
_PERIOD_S: Final = 0.003
_VALUES_PER_S: Final = 4000


@dataclass(slots=True)
class StepSurveyor:
    """Asks the board how far the values of dense variables are apart.

    Parameters
    ----------
    board : BoardState
        Which of them are known already, and where the answers are kept.
    now : callable
        LSL seconds.
    probe : callable
        Asks the board for its list once.
    """

    board: BoardState
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

    async def find_steps(
        self,
        client: BoardClient,
        variables: Iterable[Variable],
        *,
        hurried: bool = False,
        share: bool = False,
    ) -> None:
        """Find the steps of those variables of which they are not known.

        Parameters
        ----------
        client : BoardClient
            The connection, whose data websocket is open.
        variables : iterable of Variable
            Dense ones are surveyed.
        hurried : bool
            Whether to give up soon on variables that are assigned rarely.
        share : bool
            Whether variables share streams, which depends on their steps: then the wait is longer
            while values come.

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
                await asyncio.sleep(POLL_S)
                await self.probe(client)
                if self.now() > begun_s + self._limit_s(
                    survey, period_s, hurried=hurried, share=share
                ):
                    break
            await client.send(*survey.last_commands())
            await self.probe(client)  # its reply comes after the last of the monitors' messages
        finally:
            self._survey = None
            self._sends = []
        for variable in unknown:
            if variable.index in survey.steps:
                board.steps[variable.name] = survey.steps[variable.index]

    def _limit_s(self, survey: StepSurvey, period_s: float, *, hurried: bool, share: bool) -> float:
        """Tell how long the survey may take: longer where values are seen to come slowly."""
        if not survey.answered:
            return FIRST_VALUE_S
        if share and survey.in_progress:
            return SHARED_SURVEY_S
        if hurried:
            return HURRIED_SURVEY_S + 12 * period_s
        spacing_s = survey.spacing_ticks / self.board.declared_rate_hz
        slow_s = max(_N_SPACINGS * spacing_s, SECOND_VALUE_S if survey.awaits_second else 0.0)
        return max(2 * FIRST_VALUE_S + 12 * period_s, min(slow_s, LONGEST_SURVEY_S))
