"""The survey of steps, against a board that answers monitors as measured."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import eq
from typing import Any

import numpy as np
import pytest

from bela_module.protocol.block_encoder import encode_monitor
from bela_module.protocol.data_channel import Block, decode_payload
from bela_module.protocol.variables import ValueType, Variable
from bela_module.tracking.step_survey import StepSurvey

NextAssignment = Callable[[int], int]
"""A tick to the first assignment at or after it."""


def variables(count: int) -> list[Variable]:
    return [Variable(index, f"v{index}", ValueType.FLOAT) for index in range(count)]


def every(step: int, phase: int = 0) -> NextAssignment:
    return lambda tick: tick + (phase - tick) % step


def unevenly(seed: int) -> NextAssignment:
    gaps = random.Random(seed).choices(range(1, 40), k=20_000)
    ticks = np.cumsum(gaps)
    return lambda tick: int(ticks[np.searchsorted(ticks, tick)])


@dataclass
class MonitoringBoard:
    """Sends one value at once, then the first one assigned a period or more after the last."""

    assignments: Sequence[NextAssignment]
    tick: int = 1000
    periods: dict[str, int] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)

    def obey(self, commands: Sequence[dict[str, Any]]) -> None:
        for command in commands:
            assert command["cmd"] == "monitor"
            for name, period in zip(command["watchers"], command["periods"], strict=True):
                self.periods[name] = period
                self.due[name] = self._next(name, self.tick + 1)

    def send(self) -> Block | None:
        """Give the next message of all, or nothing when nothing is monitored."""
        active = {name: self.due[name] for name, period in self.periods.items() if period}
        if not active:
            return None
        name = min(active, key=active.__getitem__)
        self.tick = active[name]
        self.due[name] = self._next(name, self.tick + self.periods[name])
        variable = Variable(int(name[1:]), name, ValueType.FLOAT)
        return decode_payload(variable, encode_monitor(variable, self.tick, 1.0))

    def _next(self, name: str, tick: int) -> int:
        return self.assignments[int(name[1:])](tick)


def run(
    survey: StepSurvey,
    board: MonitoringBoard,
    *,
    latency: int = 0,
    lost: Callable[[int], bool] = lambda _number: False,
    messages: int = 400,
) -> int:
    """Let both talk until the survey is done; commands arrive ``latency`` messages late.

    Returns the number of messages that it took.
    """
    on_the_way: list[Sequence[dict[str, Any]]] = [[] for _ in range(latency)]
    board.obey(survey.first_commands())
    for number in range(messages):
        block = board.send()
        if survey.done or block is None:
            return number
        on_the_way.append([] if lost(number) else survey.add(block))
        board.obey(on_the_way.pop(0))
    return messages


STEPS = [1, 2, 3, 8, 16, 441]


@pytest.mark.parametrize("period", [2, 7, 100, 512])
@pytest.mark.parametrize("step", STEPS)
def test_the_step_of_one_variable(step: int, period: int) -> None:
    survey = StepSurvey(variables(1), period)
    board = MonitoringBoard([every(step, phase=5)])
    assert run(survey, board) <= 8
    assert survey.done
    assert survey.steps == {0: step}
    assert board.periods == {"v0": 0}


@pytest.mark.parametrize("latency", [0, 1, 2, 5, 30])
def test_messages_of_the_first_round_still_under_way(latency: int) -> None:
    survey = StepSurvey(variables(len(STEPS)), 50)
    board = MonitoringBoard([every(step) for step in STEPS])
    run(survey, board, latency=latency)
    assert survey.steps == dict(enumerate(STEPS))
    assert survey.done


def test_a_lost_message_makes_it_longer_not_wrong() -> None:
    for lost_number in range(12):
        survey = StepSurvey(variables(1), 10)
        run(survey, MonitoringBoard([every(3)]), lost=partial(eq, lost_number))
        assert survey.steps == {0: 3}


@pytest.mark.parametrize("seed", range(5))
def test_many_lost_messages_make_it_longer_not_wrong(seed: int) -> None:
    lost = set(np.flatnonzero(np.random.default_rng(seed).random(400) < 0.2))
    survey = StepSurvey(variables(len(STEPS)), 50)
    run(survey, MonitoringBoard([every(step) for step in STEPS]), lost=lost.__contains__)
    assert survey.steps == dict(enumerate(STEPS))


def test_a_period_of_once_or_off_is_never_asked_for() -> None:
    for period in (-5, 0, 1):
        (command,) = StepSurvey(variables(1), period).first_commands()
        assert command["periods"] == [2]


@pytest.mark.parametrize("seed", range(5))
def test_an_uneven_variable_has_no_step_and_does_not_hold_up_the_others(seed: int) -> None:
    survey = StepSurvey(variables(2), 300)
    board = MonitoringBoard([unevenly(seed), every(8)])
    run(survey, board, messages=60)
    assert survey.steps == {1: 8}
    assert not survey.done


def test_a_silent_variable_is_never_found() -> None:
    survey = StepSurvey(variables(1), 10)
    survey.first_commands()
    assert survey.steps == {}
    assert not survey.done


def test_it_ends_what_it_began_found_or_not() -> None:
    survey = StepSurvey(variables(2), 10)
    board = MonitoringBoard([every(1), every(2)])
    board.obey(survey.first_commands())
    assert board.periods == {"v0": 10, "v1": 10}
    board.obey(survey.last_commands())
    assert board.periods == {"v0": 0, "v1": 0}


def test_without_variables_there_is_nothing_to_ask() -> None:
    survey = StepSurvey([], 10)
    assert survey.first_commands() == []
    assert survey.last_commands() == []
    assert survey.done


def test_other_variables_and_late_messages_are_let_through() -> None:
    survey = StepSurvey(variables(1), 10)
    board = MonitoringBoard([every(4)])
    run(survey, board)
    stranger = Variable(7, "v7", ValueType.FLOAT)
    late = Variable(0, "v0", ValueType.FLOAT)
    for variable in (stranger, late):
        block = decode_payload(variable, encode_monitor(variable, 10**6, 1.0))
        assert survey.add(block) == []
    assert survey.steps == {0: 4}


def value(index: int, tick: int) -> Block:
    return Block(variables(5)[index], tick, np.zeros(1, np.float32), monitor=True)


def test_which_variables_are_slow() -> None:
    survey = StepSurvey(variables(5), 132)
    for tick in (1000, 1132, 1264):  # every tick, perhaps: a value whenever the period is over
        survey.add(value(0, tick))
    for tick in (1010, 1229, 2068):  # unevenly, 5 to 19 ms apart
        survey.add(value(1, tick))
    survey.add(value(2, 1500))  # once
    survey.add(value(3, 11_900))  # once, just before the end
    assert survey.slow_spacings(900, 12_000) == {1: 529, 2: 10_500, 4: 11_100}
    assert survey.silent == {2, 3, 4}


def test_of_a_board_that_sends_nothing_all_are_silent() -> None:
    survey = StepSurvey(variables(2), 132)
    assert survey.slow_spacings(900, 12_000) == {0: 11_100, 1: 11_100}
    assert survey.silent == {0, 1}
