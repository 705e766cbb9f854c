"""Result of PREPARE: variables, plans and outlets that a later START streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bela_module.protocol.variables import Variable
from bela_module.streams.sink import StreamFacts
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.validation import Group, shorten


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a START or SCHEDULE streams, and how its streams look.

    Parameters
    ----------
    variables : tuple of Variable
        The variables, in the order of the board's list.
    group : {"auto", "none", "all"}
        Whether they share streams.
    plans : tuple of StreamPlan
        The streams.
    facts : mapping of str to StreamFacts
        What is known of each stream, by its name; streams of which nothing is known yet are opened
        later.
    problems : tuple of str
        Which streams could not be opened, and why.
    """

    variables: tuple[Variable, ...]
    group: Group
    plans: tuple[StreamPlan, ...]
    facts: Mapping[str, StreamFacts]
    problems: tuple[str, ...] = ()

    def is_for(self, variables: Sequence[Variable], group: Group) -> bool:
        """Tell whether it has just these variables, of the same types, in the same groups."""
        return group == self.group and {v.identity for v in variables} == {
            v.identity for v in self.variables
        }

    def status(self) -> list[dict[str, Any]]:
        """Describe the streams as STATUS shows them."""
        return [
            {
                "name": plan.name,
                "variables": [shorten(variable.name) for variable in plan.variables],
                "mode": plan.mode.value,
                "delivery": "single" if plan.mode is StreamMode.MONITOR else "block",
                "format": plan.sample_format.value,
                "nominal_rate_hz": facts.nominal_rate_hz if facts is not None else None,
                "effective_rate_hz": None,
                "samples": 0,
                "assigned": True,
                "lost": 0,
                "gaps": 0,
                "last_lsl_s": None,
                "delay_s": None,
            }
            for plan in self.plans
            for facts in (self.facts.get(plan.name),)
        ]
