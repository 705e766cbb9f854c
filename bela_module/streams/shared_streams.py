"""Which variables share a stream when there are many of them. Pure.

An LSL stream costs two threads, two ports and a push for each block, and recorders find only some
dozens of streams in one resolve; a channel costs next to nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from bela_module.protocol.variables import Variable
from bela_module.streams.sample_formats import SampleFormat, sample_format
from bela_module.validation import Group

MAX_SINGLE_STREAMS: Final = 16
"""With ``group = "auto"``, so many variables have a stream of their own."""


def share_streams(
    variables: Sequence[Variable], steps: Mapping[str, float], group: Group
) -> dict[str, tuple[Variable, ...]]:
    """Arrange variables that come in blocks in shared streams.

    Parameters
    ----------
    variables : sequence of Variable
        Those without a stream of their own in the configuration, in the order of the board's list.
    steps : mapping of str to float
        Ticks between two values of dense variables, as far as they are known. A variable without
        a known step, or a sparse one, is left out: its rows fit to no others.
    group : {"auto", "none", "all"}
        Whether they share streams: from 17 on, never, or any number.

    Returns
    -------
    dict of str to tuple of Variable
        By the name of the stream without its prefix: ``<format>``, or ``<format>_step<n>`` where
        the members of one format differ in their steps. Members keep their order.
    """
    candidates = [v for v in variables if not v.sparse and v.name in steps]
    if group == "none" or (group == "auto" and len(candidates) <= MAX_SINGLE_STREAMS):
        return {}
    groups: dict[SampleFormat, dict[float, list[Variable]]] = {}
    for variable in candidates:
        by_step = groups.setdefault(sample_format([variable.value_type]), {})
        by_step.setdefault(steps[variable.name], []).append(variable)
    return {
        target.value if len(by_step) == 1 else f"{target.value}_step{step:g}": tuple(members)
        for target, by_step in groups.items()
        for step, members in by_step.items()
    }


def membership_hash(variables: Sequence[Variable]) -> str:
    """Identify the members of a shared stream and their order, in eight hexadecimal digits."""
    names = "\0".join(variable.name for variable in variables)
    return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:8]
