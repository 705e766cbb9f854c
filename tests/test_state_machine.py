"""States move along their table; a transition that is not in it is reported."""

from __future__ import annotations

from enum import Enum

import pytest

from bela_module.state_machine import StateMachine


class Light(Enum):
    RED = 1
    GREEN = 2
    OFF = 3


REPORT_ILLEGAL = StateMachine.report_illegal  # before the tests replace it
TABLE = {
    Light.RED: frozenset({Light.GREEN}),
    Light.GREEN: frozenset({Light.RED, Light.OFF}),
    Light.OFF: frozenset[Light](),
}


def test_it_moves_along_its_table_and_tells_each_change() -> None:
    seen: list[Light] = []
    machine: StateMachine[Light] = StateMachine(
        "light", Light.RED, TABLE, lambda: seen.append(machine.state)
    )
    machine.move_to(Light.RED)
    machine.move_to(Light.GREEN)
    machine.move_to(Light.GREEN)
    machine.move_to(Light.OFF)
    assert seen == [Light.GREEN, Light.OFF]


def test_an_illegal_transition_is_seen_by_the_tests(illegal_transitions: list[str]) -> None:
    StateMachine("light", Light.RED, TABLE).move_to(Light.OFF)
    assert illegal_transitions == ["light: no transition from RED to OFF"]
    illegal_transitions.clear()


def test_in_the_product_it_is_logged_and_carried_out(caplog: pytest.LogCaptureFixture) -> None:
    class Product(StateMachine[Light]):
        report_illegal = REPORT_ILLEGAL

    machine = Product("light", Light.OFF, TABLE)
    machine.move_to(Light.RED)
    assert machine.state is Light.RED
    assert "light: no transition from OFF to RED" in caplog.text
