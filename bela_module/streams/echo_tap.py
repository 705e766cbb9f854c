"""A sink that passes everything on, and tells of the values of variables that echo commands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.sink import Origin, Sink, Stamps, StreamFacts, TakesUnstamped
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.tracking.runs import Gap

logger = logging.getLogger(__name__)

EchoListener = Callable[[str, Array, Stamps], None]
"""Is told the name of a variable, its values and their stamps, both of shape (n_values,)."""


class EchoTap:
    """Passes each call on to a sink; a ``Sink``.

    Values are told of once the sink has them, so that the time of the call is that at which they
    were given to LSL. Only whole streams count: those of MONITOR leave values out.

    Parameters
    ----------
    sink : Sink
        Where everything goes.

    Attributes
    ----------
    names : frozenset of str
        Variables that echo.
    on_echoes : callable or None
        Is told of their values.
    on_gap : callable or None
        Is told the name of one of which values were lost.
    on_failure : callable or None
        Is told the name of one, and the error of `on_echoes`, once.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.names: frozenset[str] = frozenset()
        self.on_echoes: EchoListener | None = None
        self.on_gap: Callable[[str], None] | None = None
        self.on_failure: Callable[[str, Exception], None] | None = None
        self._failed: set[str] = set()

    def identify(self, origin: Origin) -> None:
        """Pass on which board it is."""
        self._sink.identify(origin)

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Open a stream."""
        self._sink.open(plan, facts)

    def is_open(self, plan: StreamPlan) -> bool:
        """Tell whether a stream is open."""
        return self._sink.is_open(plan)

    def keep(self, variables: Sequence[Variable]) -> None:
        """Pass on which variables the board has."""
        self._sink.keep(variables)

    def search_identities(self) -> None:
        """Look for others that publish the same streams."""
        self._sink.search_identities()

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Push samples, and tell of those that echo."""
        try:
            self._sink.push(plan, ticks, values, stamps_s)
        finally:
            if self.names and plan.mode is not StreamMode.MONITOR:
                for column, variable in enumerate(plan.variables):
                    self._tell(variable.name, values[:, column], stamps_s)

    def _tell(self, name: str, values: Array, stamps_s: Stamps) -> None:
        """Tell of values that echo; a defect in what is told must not end their stream."""
        if name not in self.names or self.on_echoes is None:
            return
        try:
            self.on_echoes(name, values, stamps_s)
        except Exception as error:
            if name in self._failed:
                return
            self._failed.add(name)
            logger.exception("echoes of %s could not be measured", name)
            if self.on_failure is not None:
                self.on_failure(name, error)

    def push_unstamped(self, variable: Variable, ticks: Ticks, values: Array) -> bool:
        """Pass on values without times, if the sink takes such."""
        sink = self._sink
        return isinstance(sink, TakesUnstamped) and sink.push_unstamped(variable, ticks, values)

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Pass on that values were lost, and tell of those that echo and do not come late."""
        if variable.name in self.names and self.on_gap is not None and gap.late is None:
            self.on_gap(variable.name)
        self._sink.gap(plan, variable, gap)

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        """Pass on values that became known late, and tell of those that echo."""
        self._sink.late(plan, variable, ticks, values, stamps_s)
        self._tell(variable.name, values, stamps_s)

    def mark(self, text: str, lsl_s: float) -> None:
        """Pass on an event."""
        self._sink.mark(text, lsl_s)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
