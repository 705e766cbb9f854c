"""A sink that passes each call on to several sinks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bela_module.errors import StreamError
from bela_module.protocol.variables import Array, Ticks, Variable
from bela_module.streams.sink import Origin, Sink, Stamps, StreamFacts, TakesUnstamped
from bela_module.streams.stream_plans import StreamPlan
from bela_module.tracking.runs import Gap


class SinkTee:
    """Passes each call to all its sinks in order; a ``Sink``.

    An error in one sink does not keep the others from their call. It is raised after all were
    called: of several the one that is not a ``StreamError``, since that is a defect and not a
    refusal of single samples, with notes of the others.

    Parameters
    ----------
    *sinks : Sink
        Where everything goes.
    """

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = sinks

    def identify(self, origin: Origin) -> None:
        """Pass on which board it is."""
        self._call_all(lambda sink: sink.identify(origin))

    def open(self, plan: StreamPlan, facts: StreamFacts) -> None:
        """Open a stream in every sink."""
        self._call_all(lambda sink: sink.open(plan, facts))

    def is_open(self, plan: StreamPlan) -> bool:
        """Tell whether a stream is open in every sink."""
        is_open: list[bool] = []
        self._call_all(lambda sink: is_open.append(sink.is_open(plan)))
        return all(is_open)

    def keep(self, variables: Sequence[Variable]) -> None:
        """Pass on which variables the board has."""
        self._call_all(lambda sink: sink.keep(variables))

    def search_identities(self) -> None:
        """Have every sink look for others that publish the same streams."""
        self._call_all(lambda sink: sink.search_identities())

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Push samples into every sink."""
        self._call_all(lambda sink: sink.push(plan, ticks, values, stamps_s))

    def push_unstamped(self, variable: Variable, ticks: Ticks, values: Array) -> bool:
        """Give values without times to each sink that takes such."""
        taken: list[bool] = []

        def push(sink: Sink) -> None:
            if isinstance(sink, TakesUnstamped):
                taken.append(sink.push_unstamped(variable, ticks, values))

        self._call_all(push)
        return any(taken)

    def gap(self, plan: StreamPlan, variable: Variable, gap: Gap) -> None:
        """Tell every sink that values of a variable were lost."""
        self._call_all(lambda sink: sink.gap(plan, variable, gap))

    def late(
        self, plan: StreamPlan, variable: Variable, ticks: Ticks, values: Array, stamps_s: Stamps
    ) -> None:
        """Give values that became known late to every sink."""
        self._call_all(lambda sink: sink.late(plan, variable, ticks, values, stamps_s))

    def mark(self, text: str, lsl_s: float) -> None:
        """Tell every sink of an event."""
        self._call_all(lambda sink: sink.mark(text, lsl_s))

    def close(self) -> None:
        """Close every sink."""
        self._call_all(lambda sink: sink.close())

    def _call_all(self, call: Callable[[Sink], None]) -> None:
        errors: list[Exception] = []
        for sink in self._sinks:
            try:
                call(sink)
            except Exception as error:  # noqa: BLE001 - raised when all were called
                errors.append(error)
        if errors:
            worst = min(errors, key=lambda one: isinstance(one, StreamError))
            for other in errors:
                if other is not worst:
                    worst.add_note(f"another sink failed, too: {other!r}")
            raise worst
