"""What the board has written is kept as runs of ticks."""

from __future__ import annotations

from bela_module.simulator.watcher.written_values import Account, Payload, WrittenRun


def test_a_payload_is_of_a_watch_unless_it_is_said() -> None:
    assert not Payload(10, 0, b"", 3, 8).monitor


def test_runs_and_accounts_are_compared_by_value() -> None:
    assert WrittenRun._fields[:2] == ("first_tick", "last_tick")
    assert len(Account._fields) == len(set(Account._fields))
