"""Plans which streams a set of variables becomes: names, formats, groups. Pure.

One stream for each variable, ``<prefix><variable>``, unless the configuration groups some: a
group is formed when all its members are asked for, and otherwise its members stream singly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from bela_module.config import Settings, StreamSettings
from bela_module.errors import RequestError, UnknownVariableError
from bela_module.protocol.variables import Array, ValueType, Variable


class StreamMode(StrEnum):
    """Whether a stream has a constant rate (dense) or a time for each sample."""

    DENSE = "dense"
    SPARSE = "sparse"
    MONITOR = "monitor"


class SampleFormat(StrEnum):
    """The LSL channel formats that are used, by LSL's names."""

    INT8 = "int8"
    INT32 = "int32"
    FLOAT32 = "float32"
    DOUBLE64 = "double64"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Numpy type of one value."""
        return _SAMPLE_DTYPES[self]


_SAMPLE_DTYPES: Final[dict[SampleFormat, np.dtype[Any]]] = {
    SampleFormat.INT8: np.dtype("i1"),
    SampleFormat.INT32: np.dtype("i4"),
    SampleFormat.FLOAT32: np.dtype("f4"),
    SampleFormat.DOUBLE64: np.dtype("f8"),
}

# LSL has no unsigned types: an unsigned int fits without loss only into a double.
_FORMATS: Final = {
    ValueType.CHAR: SampleFormat.INT8,
    ValueType.UNSIGNED_INT: SampleFormat.DOUBLE64,
    ValueType.INT: SampleFormat.INT32,
    ValueType.FLOAT: SampleFormat.FLOAT32,
    ValueType.DOUBLE: SampleFormat.DOUBLE64,
}


def sample_format(types: Sequence[ValueType]) -> SampleFormat:
    """Choose the smallest format that holds every value of some types, at least one."""
    formats = {_FORMATS[value_type] for value_type in types}
    if len(formats) == 1:
        return formats.pop()
    if formats == {SampleFormat.INT8, SampleFormat.INT32}:
        return SampleFormat.INT32
    if formats == {SampleFormat.INT8, SampleFormat.FLOAT32}:
        return SampleFormat.FLOAT32
    return SampleFormat.DOUBLE64  # a float32 does not hold every int32


def to_format(values: Array, target: SampleFormat) -> Array:
    """Cast a variable's values to the format of its stream.

    A byte above 127 becomes the negative int8 with the same bits: LSL has no unsigned type.
    """
    if target is SampleFormat.INT8 and values.dtype.itemsize == 1:
        return values.view(np.int8)
    return values.astype(target.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream to be published: its name, variables, mode and format."""

    name: str
    """Prefix included."""
    variables: tuple[Variable, ...]
    """One for each channel."""
    mode: StreamMode
    """Dense streams have a nominal rate; the others are irregular."""
    sample_format: SampleFormat
    """Format of all channels."""
    settings: StreamSettings | None = None
    """The group's table of the configuration."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each channel: the variables' names unless configured."""
        if self.settings is not None and self.settings.labels:
            return tuple(self.settings.labels)
        return tuple(variable.name for variable in self.variables)


def reachable(variables: Sequence[Variable]) -> tuple[Variable, ...]:
    """Leave out variables that no command can name: a repeated name means the first of them."""
    first: dict[str, Variable] = {}
    for variable in variables:
        first.setdefault(variable.name, variable)
    return tuple(first.values())


def choose_variables(
    variables: Sequence[Variable], asked: Sequence[str] | None, settings: Settings
) -> tuple[Variable, ...]:
    """Find the variables to stream: those asked for, else those of the configuration, else all.

    Raises
    ------
    UnknownVariableError
        When the board has not all of them.
    """
    known = {variable.name: variable for variable in reachable(variables)}
    names = list(asked or settings.streaming.variables)
    if not names:
        names = [name for stream in settings.streams.values() for name in stream.variables]
    if not names:
        return tuple(known.values())
    unique = list(dict.fromkeys(names))
    missing = [name for name in unique if name not in known]
    if missing:
        raise UnknownVariableError(missing, known)
    return tuple(known[name] for name in unique)


def plan_streams(
    variables: Sequence[Variable], settings: Settings, *, monitor: bool = False
) -> tuple[StreamPlan, ...]:
    """Arrange variables in streams.

    Configured groups come first, then single variables. With `monitor` all streams carry
    monitored values, whatever the configuration says.

    Raises
    ------
    RequestError
        When a group mixes dense and sparse variables, or two streams would have one name.
    """
    rest = {variable.name: variable for variable in variables}
    prefix = settings.streaming.prefix
    plans: list[StreamPlan] = []
    for name, stream in settings.streams.items():
        if all(member in rest for member in stream.variables):
            members = tuple(rest.pop(member) for member in stream.variables)
            monitored = monitor or stream.mode == "monitor"
            plans.append(_plan(prefix + name, members, stream, monitored))
    for variable in rest.values():
        plans.append(_plan(prefix + variable.name, (variable,), None, monitor))
    _check_names([settings.streaming.events_stream, *(plan.name for plan in plans)])
    return tuple(plans)


def _check_names(names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise RequestError(
                f"two streams would be called {name!r}; give a group, the prefix or the event "
                "stream another name in the configuration"
            )


def _plan(
    name: str, members: tuple[Variable, ...], settings: StreamSettings | None, monitor: bool
) -> StreamPlan:
    mode = StreamMode.MONITOR
    if not monitor:
        if len({member.sparse for member in members}) > 1:
            raise RequestError(
                f"the stream {name!r} mixes dense and sparse variables, whose rows do not fit; "
                "put them in separate streams of the configuration"
            )
        mode = StreamMode.SPARSE if members[0].sparse else StreamMode.DENSE
    target = sample_format([member.value_type for member in members])
    may_lack = mode is not StreamMode.DENSE and len(members) > 1
    if may_lack and target in (SampleFormat.INT8, SampleFormat.INT32):
        target = SampleFormat.DOUBLE64  # rows of irregular members lack values: NaN is needed
    return StreamPlan(name, members, mode, target, settings)
