"""A tee of sinks: each gets every call, whatever becomes of the others'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bela_module.errors import StreamError
from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.sample_formats import SampleFormat
from bela_module.streams.sink import Origin, StreamFacts
from bela_module.streams.sink_tee import SinkTee
from bela_module.streams.stream_plans import StreamMode, StreamPlan
from bela_module.tracking.runs import Gap, GapReason

POT = Variable(0, "pot", ValueType.FLOAT)
PLAN = StreamPlan("bela_pot", (POT,), StreamMode.DENSE, SampleFormat.FLOAT32)
ORIGIN = Origin("bela", "test", 44100.0, 44100.0, 0.001, 0.0)
TICKS = np.arange(3)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "identify": (ORIGIN,),
    "open": (PLAN, StreamFacts(ORIGIN, 44100.0)),
    "keep": ((POT,),),
    "search_identities": (),
    "push": (PLAN, TICKS, np.zeros((3, 1), np.float32), TICKS / 44100.0),
    "gap": (PLAN, POT, Gap(3, 5, 3, GapReason.LOST)),
    "late": (PLAN, POT, TICKS, np.zeros(3, np.float32), TICKS / 44100.0),
    "mark": ("stopped", 1.0),
    "close": (),
}


class NotingSink:
    """Notes every call, and raises what it is told to raise."""

    def __init__(self, error: Exception | None = None, *, is_open: bool = True) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._error = error
        self._is_open = is_open

    def is_open(self, plan: StreamPlan) -> bool:
        return self._is_open

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*arguments: Any) -> None:
            self.calls.append((name, arguments))
            if self._error is not None:
                raise self._error

        return note


@pytest.mark.parametrize("method", ARGUMENTS)
def test_each_call_reaches_every_sink(method: str) -> None:
    sinks = NotingSink(), NotingSink(), NotingSink()
    getattr(SinkTee(*sinks), method)(*ARGUMENTS[method])
    for sink in sinks:
        ((name, arguments),) = sink.calls
        assert name == method
        assert all(got is sent for got, sent in zip(arguments, ARGUMENTS[method], strict=True))


@pytest.mark.parametrize(
    ("opened", "expected"), [((), True), ((False, True), False), ((True, True), True)]
)
def test_a_stream_is_open_when_every_sink_has_it(opened: tuple[bool, ...], expected: bool) -> None:
    assert SinkTee(*(NotingSink(is_open=one) for one in opened)).is_open(PLAN) is expected


@pytest.mark.parametrize("method", ARGUMENTS)
def test_an_error_is_raised_after_all_were_called(method: str) -> None:
    error = ValueError("a defect")
    sinks = NotingSink(error), NotingSink()
    with pytest.raises(ValueError, match="a defect") as raised:
        getattr(SinkTee(*sinks), method)(*ARGUMENTS[method])
    assert raised.value is error
    assert [len(sink.calls) for sink in sinks] == [1, 1]


def test_of_several_errors_a_defect_is_raised_and_the_others_are_noted() -> None:
    sinks = NotingSink(StreamError("late stamps")), NotingSink(ValueError("a defect"))
    with pytest.raises(ValueError, match="a defect") as raised:
        SinkTee(*sinks).close()
    assert raised.value.__notes__ == ["another sink failed, too: StreamError('late stamps')"]
