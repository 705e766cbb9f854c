"""The inputs that are connected, as the parts of a session see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from bela_module.session.inputs.active_input import ActiveInput
from bela_module.session.inputs.states import InputState


@dataclass(slots=True)
class ActiveInputs:
    """Inputs by their names, those that were stopped included.

    Attributes
    ----------
    by_name : dict of str to ActiveInput
        In the order in which they were connected.
    """

    by_name: dict[str, ActiveInput] = field(default_factory=dict)

    def __iter__(self) -> Iterator[ActiveInput]:
        """Iterate over them as they are at this moment."""
        return iter(list(self.by_name.values()))

    @property
    def needs_board(self) -> bool:
        """Whether any of them is to drive something, or has yet to say its last."""
        return any(one.state is not InputState.STOPPED or one.has_more for one in self)

    @property
    def needs_data(self) -> bool:
        """Whether any of them sends buffers, for which the data websocket has to be open."""
        return any(
            not one.settings.variables
            for one in self
            if one.state is not InputState.STOPPED or one.has_more
        )

    @property
    def must_leave(self) -> bool:
        """Whether the board has to be told something at the end."""
        return any(
            one.settings.on_end == "default" and one.state is not InputState.STOPPED for one in self
        ) or any(one.has_more for one in self)

    @property
    def controlled(self) -> set[str]:
        """Variables that the board is to keep controlled for them."""
        return {name for one in self if one.needs_control for name in one.settings.variables}

    def let_go(self, names: AbstractSet[str]) -> None:
        """Learn that control of some variables is given back to the sketch."""
        for one in self:
            one.let_go(names)

    def yield_to_set(self, names: AbstractSet[str]) -> None:
        """Learn that somebody sets some variables."""
        for one in self:
            one.yield_to_set(names)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with them now, in words."""
        texts = (text for one in self for text in (one.problem, *one.hints.values()))
        return tuple(text for text in texts if text)

    def status(self, now: Callable[[], float]) -> list[dict[str, Any]]:
        """Describe them as STATUS does."""
        return [one.status(now()) for one in self]
