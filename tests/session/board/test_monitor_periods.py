"""One monitor of a variable for two uses: the board is told the period that serves both."""

from __future__ import annotations

from bela_module.protocol.control_commands import monitor_command
from bela_module.session.board.monitor_periods import MonitorPeriods, MonitorUse


def test_every_value_serves_both_uses() -> None:
    made = MonitorPeriods()
    assert made.ask({"a": 441, "b": 10}) == [monitor_command(["a", "b"], [441, 10])]
    assert made.ask_prompt(["a"]) == [monitor_command(["a"], [2])]
    assert made.period_of("a") == 2
    assert made.drop(["a", "b"], MonitorUse.PROMPT) == [monitor_command(["a"], [441])]
    assert made.drop(["a", "b"], MonitorUse.MONITOR) == [monitor_command(["a", "b"], [0, 0])]
    assert made.period_of("a") == 0


def test_a_monitor_that_ends_first_leaves_the_single_values() -> None:
    made = MonitorPeriods()
    made.ask_prompt(["a"])
    made.ask({"a": 441})
    assert made.drop(["a"], MonitorUse.MONITOR) == [monitor_command(["a"], [2])]
    assert made.is_wanted("a", MonitorUse.PROMPT)
    assert not made.is_wanted("a", MonitorUse.MONITOR)


def test_what_is_not_wanted_is_not_ended() -> None:
    made = MonitorPeriods()
    assert made.drop(["a"], MonitorUse.PROMPT) == []
    made.ask({"a": 5})
    made.forget()
    assert made.drop(["a"], MonitorUse.MONITOR) == []
    assert made.ask_prompt([]) == []
