"""Survey of the steps of dense variables on a connected board, before they are watched."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bela_module.connection.board_client import BoardClient
from bela_module.errors import BoardError
from bela_module.protocol.control_commands import (
    Json,
    monitor_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol.data_channel import Block
from bela_module.protocol.variables import Variable
from bela_module.session.board.board_state import BoardState
from bela_module.session.delivery.time_limits import (
    BLOCK_SURVEY_S,
    COUNTED_S,
    FIRST_VALUE_S,
    HURRIED_SURVEY_S,
    LONGEST_SURVEY_S,
    POLL_S,
    SECOND_VALUE_S,
    SHARED_SURVEY_S,
    SIEVE_PERIOD_S,
    SURVEYED_UNWATCH_S,
)
from bela_module.tracking.dense_steps import BlockEvidence, infer_step, is_constant
from bela_module.tracking.rate_sieve import RateSieve
from bela_module.tracking.received_block import ReceivedBlock
from bela_module.tracking.step_survey import StepSurvey
from bela_module.tracking.value_count import ValueCount

_BLOCKS_FOR_STEP: Final = 4
_N_SPACINGS: Final = 9
_N_SIEVED: Final = 5
_PERIOD_S: Final = 0.003
_VALUES_PER_S: Final = 4000
_STANDSTILL_S: Final = 0.05


class _Standstills:
    """Notes for how long this computer stands still, whatever is waited for meanwhile.

    That time is none in which answers could have come, and counts against no limit: a stream of
    which the step is not known in time is irregular for good.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._late_s = 0.0

    async def note(self) -> None:
        """Note it until cancelled."""
        while True:
            begun_s = self._now()
            await asyncio.sleep(POLL_S)
            late_s = self._now() - begun_s - POLL_S
            if late_s > _STANDSTILL_S:  # a timer of Windows is late by 11 ms
                self._late_s += late_s

    def take_s(self) -> float:
        """Return the seconds since the last call."""
        late_s, self._late_s = self._late_s, 0.0
        return late_s


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
    by_blocks: bool = False
    """Whether no monitor may be used: steps are found from blocks."""
    _survey: StepSurvey | None = None
    _counts: dict[int, ValueCount] = field(default_factory=dict)
    _counting_until_s: float = -math.inf
    _sieve: RateSieve | None = None
    _left: set[str] = field(default_factory=set)
    _watching: set[str] = field(default_factory=set)
    _blocks: dict[int, list[BlockEvidence]] | None = None
    _sends: list[Json] = field(default_factory=list)

    def take(self, block: Block, arrived_s: float) -> bool:
        """Take a block when it is of a variable that is being surveyed.

        Returns
        -------
        bool
            Whether it was.
        """
        if self._blocks is not None and not block.monitor and block.relative_ticks is None:
            evidence = self._blocks.get(block.variable.index)
            if evidence is not None:
                possible_tick = self.board.possible_tick(arrived_s)
                evidence.append(ReceivedBlock.of(block, possible_tick).evidence)
                return True
        index = block.variable.index
        if not block.monitor and (count := self._counts.get(index)) is not None:
            count.add(block)
            return True
        if self._sieve is not None and block.monitor and index in self._sieve:
            self._sieve.add(block)
            return True
        if self._survey is None or not block.monitor or index not in self._survey:
            return False
        self._sends += self._survey.add(block)
        if index in self._survey.steps and index not in self._counts:
            self._begin_count(block.variable, self._survey.steps[index])
        return True

    def _begin_count(self, variable: Variable, spacing_ticks: int) -> None:
        """Watch a variable shortly, to count its values at each tick."""
        rate_hz = self.board.declared_rate_hz
        count = self._counts[variable.index] = ValueCount(variable, spacing_ticks, rate_hz)
        self._sends.append(count.command)
        self._watching.add(variable.name)
        until_s = self.now() + count.length_ticks / rate_hz + COUNTED_S
        self._counting_until_s = max(self._counting_until_s, until_s)

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
            and (variable.monitor_period_ticks == 0 or variable.name in self._left)
        ]
        if not unknown:
            return
        if self.by_blocks:
            await self._find_in_blocks(client, unknown)
            return
        period_s = max(_PERIOD_S, len(unknown) / _VALUES_PER_S)
        survey = self._survey = StepSurvey(unknown, round(period_s * board.declared_rate_hz))
        counts = self._counts = {}
        begun_s, begun_tick = self.now(), board.tick
        standstills = _Standstills(self.now)
        noting = asyncio.ensure_future(standstills.note())
        try:
            self._left.update(variable.name for variable in unknown)
            await client.send(*survey.first_commands())
            while not client.lost.done():
                sends, self._sends = self._sends, []
                await client.send(*sends)
                await asyncio.sleep(POLL_S)
                await self.probe(client)
                late_s = standstills.take_s()
                begun_s += late_s
                self._counting_until_s += late_s
                limit_s = self._limit_s(survey, period_s, hurried=hurried, share=share)
                over = survey.done or self.now() > begun_s + limit_s
                counted = all(count.done for count in counts.values())
                if over and (counted or self.now() > self._counting_until_s) and not self._sends:
                    break
            await self._end_counts(client, unknown)
            await self._end_monitors(client)
        finally:
            noting.cancel()
            self._survey, self._counts = None, {}
            self._sends = []
            await self._end_left(client)
        slow = survey.slow_spacings(begun_tick, board.tick)
        for variable in unknown:
            if variable.index in survey.steps:
                spacing = survey.steps[variable.index]
                step = counts[variable.index].step_ticks
                board.note_step(variable.name, step or spacing, spacing, proven=step is not None)
            elif variable.index in slow:
                board.slow[variable.name] = slow[variable.index]
                if variable.index in survey.silent:
                    board.silent.add(variable.name)

    async def find_fast(self, client: BoardClient, variables: Iterable[Variable]) -> None:
        """Find sparse variables that are assigned too often to come as single values.

        Parameters
        ----------
        client : BoardClient
            The connection, whose data websocket is open.
        variables : iterable of Variable
            Sparse ones that are not monitored are looked at.

        Raises
        ------
        BoardError
            When the board does not answer.
        """
        board = self.board
        unknown = [
            variable
            for variable in variables
            if variable.sparse
            and variable.name not in board.rates_hz
            and (variable.monitor_period_ticks == 0 or variable.name in self._left)
        ]
        if self.by_blocks or not unknown:
            return
        period_s = max(SIEVE_PERIOD_S, len(unknown) / _VALUES_PER_S)
        known = board.ready and board.clock is not None
        rate_hz = board.clock.tick_rate_hz if known and board.clock else board.declared_rate_hz
        period_ticks = max(2, round(period_s * rate_hz))
        names = [variable.name for variable in unknown]
        sieve = self._sieve = RateSieve(unknown, period_ticks)
        try:
            self._left.update(names)
            await client.send(monitor_command(names, [period_ticks] * len(names)))
            await asyncio.sleep(_N_SIEVED * period_s)
            await self.probe(client)
            await self._end_monitors(client)
        finally:
            self._sieve = None
            await self._end_left(client)
        board.rates_hz.update(dict.fromkeys(sieve.fast, math.inf))

    async def _end_counts(self, client: BoardClient, variables: Sequence[Variable]) -> None:
        """End the watches of counts that have not come to their end."""
        names = [
            variable.name
            for variable in variables
            if variable.index in self._counts and not self._counts[variable.index].done
        ]
        if names:
            await client.send(unwatch_command(names))
        # A reply to another client may be older, and list them still.
        self.board.ending.update(self._watching)
        self._watching.clear()

    async def _end_monitors(self, client: BoardClient) -> None:
        """End the monitors of a survey; the reply comes after the last of their messages."""
        names = sorted(self._left)
        await client.send(monitor_command(names, [0] * len(names)))
        self.board.monitors.note_ended(names)
        await self.probe(client)
        self._left.clear()

    async def _end_left(self, client: BoardClient) -> None:
        """End what a survey that was cut short began; on a lost connection the next one does."""
        names, watched = sorted(self._left), sorted(self._watching)
        self._watching.clear()
        if client.lost.done():
            return
        with contextlib.suppress(BoardError):
            if names:
                await client.send(monitor_command(names, [0] * len(names)))
                self.board.monitors.note_ended(names)
            if watched:
                await client.send(unwatch_command(watched))
                self.board.ending.update(await client.still_watched(watched, SURVEYED_UNWATCH_S))

    async def _find_in_blocks(self, client: BoardClient, unknown: Sequence[Variable]) -> None:
        """Watch variables shortly, those that others watch excepted, and compare their blocks."""
        board = self.board
        free = [variable.name for variable in unknown if not variable.watched]
        blocks: dict[int, list[BlockEvidence]] = {variable.index: [] for variable in unknown}
        self._blocks = blocks
        standstills = _Standstills(self.now)
        noting = asyncio.ensure_future(standstills.note())
        try:
            if free:
                self._watching.update(free)
                await client.send(watch_command(free))
            until_s = self.now() + BLOCK_SURVEY_S
            while self.now() < until_s and not client.lost.done():
                await asyncio.sleep(POLL_S)
                until_s += standstills.take_s()
                if all(len(evidence) >= _BLOCKS_FOR_STEP for evidence in blocks.values()):
                    break
            if free:
                await client.send(unwatch_command(free))
                self._watching.clear()
                board.ending.update(await client.still_watched(free, SURVEYED_UNWATCH_S))
                await self.probe(client)
        finally:
            noting.cancel()
            self._blocks = None
            await self._end_left(client)
        for variable in unknown:
            # The last block ended early, and the first of another client's watch may be a splice.
            evidence = blocks[variable.index][variable.watched : None if variable.watched else -1]
            final = len(evidence) >= _BLOCKS_FOR_STEP - 1
            step = infer_step(evidence, variable.layout.value_count, final=final)
            if step is not None and len(evidence) > 1:
                board.steps[variable.name] = step
                if is_constant(step):
                    board.proven.add(variable.name)

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
