"""A state with a table of the transitions that it may take. Pure but for a log record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=Enum)


class StateMachine(Generic[S]):
    """Holds one state of an enumeration and moves it along a table of transitions.

    A transition that is not in the table is a defect. It is logged as an error and carried out all
    the same, since a wrong state must not end a running experiment; in the tests it is a failure.

    Parameters
    ----------
    name : str
        What the state belongs to, for the log.
    initial : Enum member
        The first state.
    transitions : mapping of state to frozenset of states
        For each state the states that may follow it. Staying in a state is always allowed.
    on_change : callable, optional
        Called after each change of state.

    Attributes
    ----------
    state : Enum member
        The present state, which :meth:`move_to` alone changes.
    """

    __slots__ = ("_name", "_on_change", "_transitions", "state")

    def __init__(
        self,
        name: str,
        initial: S,
        transitions: Mapping[S, frozenset[S]],
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self.state = initial
        self._transitions = transitions
        self._on_change = on_change

    def move_to(self, state: S) -> None:
        """Change the state; nothing happens when it is the present one.

        Parameters
        ----------
        state : Enum member
            The next state.
        """
        if state is self.state:
            return
        if state not in self._transitions[self.state]:
            self.report_illegal(state)
        self.state = state
        if self._on_change is not None:
            self._on_change()

    def report_illegal(self, state: S) -> None:
        """Log a transition that is not in the table."""
        logger.error("%s: no transition from %s to %s", self._name, self.state.name, state.name)
