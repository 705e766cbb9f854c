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


def test_an_ended_monitor_is_ours_until_a_list_without_it() -> None:
    made = MonitorPeriods()
    made.note_ended(["surveyed"])
    made.ask_prompt(["a"])
    made.drop(["a"], MonitorUse.PROMPT)
    made.note_listed(["surveyed", "a"], 10.0)  # the reply to another client, from before
    assert made.is_ours("surveyed", 33)
    assert made.has_ended("a")
    made.note_listed([], 10.1)
    made.note_listed(["surveyed", "a"], 10.2)
    assert not made.is_ours("surveyed", 33)
    assert not made.has_ended("a")


def test_what_is_listed_for_long_after_its_end_is_another_client_s() -> None:
    made = MonitorPeriods()
    made.note_ended(["a"])
    made.note_listed(["a"], 10.0)
    made.note_listed(["a"], 10.9)
    assert made.is_ours("a", 500)
    made.note_listed(["a"], 11.1)
    assert not made.is_ours("a", 500)


def test_what_is_asked_for_again_has_not_ended() -> None:
    made = MonitorPeriods()
    made.note_ended(["a"])
    made.ask({"a": 5})
    assert not made.has_ended("a")


def test_one_use_that_ends_is_not_the_end() -> None:
    made = MonitorPeriods()
    made.ask({"a": 441})
    made.ask_prompt(["a"])
    made.drop(["a"], MonitorUse.PROMPT)
    assert not made.has_ended("a")


def test_what_another_client_monitors_is_left_to_it() -> None:
    made = MonitorPeriods()
    made.ask_prompt(["a", "b"])
    assert made.leave(["a"], MonitorUse.PROMPT) == ["a"]
    assert made.drop(["a", "b"], MonitorUse.PROMPT) == [monitor_command(["b"], [0])]
    assert not made.has_ended("a")
