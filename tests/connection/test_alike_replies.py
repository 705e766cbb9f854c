"""Replies to one message that asks several times are those with one tick."""

from __future__ import annotations

import pytest

from bela_module.connection.alike_replies import AlikeReplies
from bela_module.protocol.control_channel import VariableList


def complete_after(wanted: int, *ticks: int) -> int:
    """Return how many replies it took."""
    replies = AlikeReplies(wanted)
    for number, tick in enumerate(ticks, 1):
        if replies.are_complete_with(VariableList(44100.0, tick, 1, ())):
            return number
    return 0


@pytest.mark.parametrize(
    ("wanted", "ticks", "taken"),
    [
        (1, (500,), 1),
        (2, (500, 500), 2),
        (2, (500, 516), 2),  # a burst later
        (2, (500, 1000, 1000), 3),  # the first was to another client
        (2, (500, 1000, 1500, 1500), 4),
        (3, (500, 500, 1000, 1000, 1000), 5),  # two to the request before
        (2, (500, 1000), 0),
        (2, tuple(range(0, 10000, 1000)), 8),  # none will ever be alike
    ],
)
def test_as_many_as_wanted_must_be_alike(wanted: int, ticks: tuple[int, ...], taken: int) -> None:
    assert complete_after(wanted, *ticks) == taken
