"""What has to be undone on the board is remembered until that is confirmed."""

from __future__ import annotations

from bela_module.session.board.board_changes import BoardChanges


def test_what_is_left_is_cleaned_for_a_while_and_remembered_longer() -> None:
    changes = BoardChanges()
    assert not changes.needs_cleaning(0.0)
    changes.note_left(["a", "b"], until_s=10.0)
    assert changes.needs_cleaning(9.9)
    assert not changes.needs_cleaning(10.0)
    assert changes.left == {"a", "b"}
    changes.ended(["a"])
    assert changes.left == {"b"}
    changes.ended(["b"])
    assert not changes.needs_cleaning(0.0)


def test_control_counts_until_its_release_is_confirmed() -> None:
    changes = BoardChanges()
    changes.take_control(["a", "b"])
    changes.ask_release(["a"])
    assert changes.controlled == {"a", "b"}
    changes.released(["a"])
    assert (changes.controlled, changes.releasing) == ({"b"}, set())


def test_control_that_somebody_else_ended_is_told_once() -> None:
    changes = BoardChanges()
    changes.take_control(["a", "b", "c"])
    changes.ask_release(["b"])
    assert changes.compare_control({"c"}) == {"a"}  # b was to be released
    assert changes.compare_control({"c"}) == set()
    assert (changes.controlled, changes.releasing) == ({"c"}, set())


def test_taking_control_again_ends_a_release_that_was_not_confirmed() -> None:
    changes = BoardChanges()
    changes.take_control(["a"])
    changes.ask_release(["a"])
    changes.take_control(["a"])
    assert changes.compare_control(set()) == {"a"}


def test_variables_that_are_gone_are_not_controlled_any_more() -> None:
    changes = BoardChanges()
    changes.take_control(["a", "b"])
    changes.forget_missing({"b", "c"})
    assert changes.controlled == {"b"}
