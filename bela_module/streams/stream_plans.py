"""Plans which streams a set of variables becomes: names, formats, groups. Pure.

One stream for each variable, ``<prefix><variable>``, unless the configuration groups some: a
group is formed when all its members are asked for, and otherwise its members stream singly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bela_module.config import Settings, StreamSettings
from bela_module.errors import RequestError, UnknownVariableError
from bela_module.protocol.variables import Variable
from bela_module.streams.sample_formats import SampleFormat, sample_format
from bela_module.streams.shared_streams import membership_hash, share_streams
from bela_module.validation import Group, printable_name


class StreamMode(StrEnum):
    """Whether a stream has a constant rate (dense) or a time for each sample."""

    DENSE = "dense"
    SPARSE = "sparse"
    MONITOR = "monitor"


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
    membership: str = ""
    """Identifies the members of a stream that variables share without being configured to."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of each channel: the variables' names unless configured."""
        if self.settings is not None and self.settings.labels:
            return tuple(self.settings.labels)
        return tuple(printable_name(variable.name) for variable in self.variables)


def may_come_singly(plan: StreamPlan) -> bool:
    """Tell whether the values of a stream may come one by one, if that is prompter."""
    if plan.mode is StreamMode.MONITOR or plan.membership:
        return False
    return plan.settings is None or plan.settings.mode is None


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
    RequestError
        When it has none at all.
    """
    known = {variable.name: variable for variable in reachable(variables)}
    if not known and not asked:
        raise RequestError("the board's sketch has no variables: there is nothing to stream")
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
    variables: Sequence[Variable],
    settings: Settings,
    *,
    monitor: bool = False,
    group: Group = "none",
    steps: Mapping[str, float] | None = None,
) -> tuple[StreamPlan, ...]:
    """Arrange variables in streams.

    Configured groups come first, then shared streams, then single variables. With `monitor` all
    streams carry monitored values, whatever the configuration says; with `group` other than
    ``"none"`` variables that are not configured may share streams, for which the `steps` of dense
    ones must be known: see ``share_streams``.

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
    if not monitor:
        for name, members in share_streams(tuple(rest.values()), steps or {}, group).items():
            plan = _plan(prefix + name, members, None, False)
            plans.append(replace(plan, membership=membership_hash(members)))
            for member in members:
                del rest[member.name]
    for variable in rest.values():
        name = prefix + printable_name(variable.name)
        plans.append(_plan(name, (variable,), None, monitor))
    streaming = settings.streaming
    own = (streaming.events_stream, streaming.clock_stream, streaming.loop_stream)
    _check_names([*filter(None, own), *(plan.name for plan in plans)])
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
