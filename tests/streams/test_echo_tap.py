"""The tap passes everything on, and tells of echoes after the sink has them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from bela_module.config import Settings
from bela_module.errors import StreamError
from bela_module.protocol.variables import ValueType, Variable
from bela_module.streams.echo_tap import EchoTap
from bela_module.streams.sink import Origin, Sink, StreamFacts
from bela_module.streams.stream_plans import StreamPlan, plan_streams
from bela_module.tracking.runs import Gap, GapReason
from tests.support.session_helpers import Recorder

ECHO = Variable(0, "echo", ValueType.INT, sparse=True)
OTHER = Variable(1, "other", ValueType.INT, sparse=True)
TICKS, STAMPS_S = np.array([3, 5]), np.array([1.0, 2.0])
VALUES = np.array([[7], [8]], np.int32)


def plan_of(variable: Variable, *, monitor: bool = False) -> StreamPlan:
    return plan_streams([variable], Settings(), monitor=monitor)[0]


def test_it_has_each_method_of_a_sink() -> None:
    for name, method in vars(Sink).items():
        if inspect.isfunction(method) and name[0] != "_":
            ours = inspect.signature(getattr(EchoTap, name))
            assert list(ours.parameters) == list(inspect.signature(method).parameters)


def test_values_of_echoes_are_told_and_all_is_passed_on() -> None:
    sink = Recorder()
    tap = EchoTap(sink)
    told: list[tuple[str, list[int], list[float], int]] = []
    tap.names = frozenset({"echo"})
    tap.on_echoes = lambda name, values, stamps_s: told.append(
        (name, values.tolist(), stamps_s.tolist(), sink["bela_echo"].n_samples)
    )
    gaps: list[str] = []
    tap.on_gap = gaps.append
    facts = StreamFacts(Origin("b", "p", 1.0, 1.0, 0.0, 0.0), 0.0)
    for plan in (plan_of(ECHO), plan_of(OTHER)):
        tap.open(plan, facts)
        assert tap.is_open(plan)
        tap.push(plan, TICKS, VALUES, STAMPS_S)
    tap.push(plan_of(ECHO, monitor=True), TICKS, VALUES, STAMPS_S)  # leaves values out
    assert told == [("echo", [7, 8], [1.0, 2.0], 2)]
    gap = Gap(3, 5, 1, GapReason.RECONNECTED)
    tap.gap(plan_of(OTHER), OTHER, gap)
    tap.gap(plan_of(ECHO), ECHO, gap)
    tap.late(plan_of(ECHO), ECHO, TICKS, VALUES[:, 0], STAMPS_S)
    assert (len(told), gaps, len(sink.gaps), len(sink.late_values)) == (2, ["echo"], 2, 1)
    tap.mark("started", 1.0)
    tap.keep([ECHO])
    tap.search_identities()
    tap.identify(facts.origin)
    tap.close()
    assert (sink.events, sink.kept_variables, sink.searches, sink.closed) == (
        ["started"], (ECHO,), 1, 1,
    )  # fmt: skip


def test_an_echo_counts_also_when_the_sink_refuses_it() -> None:
    class Refusing(Recorder):
        def push(self, *_: object) -> None:
            raise StreamError("full")

    tap = EchoTap(Refusing())
    told: list[str] = []
    tap.names, tap.on_echoes = frozenset({"echo"}), lambda name, *_: told.append(name)
    with pytest.raises(StreamError):
        tap.push(plan_of(ECHO), TICKS, VALUES, STAMPS_S)
    assert told == ["echo"]


def test_a_defect_of_who_is_told_does_not_end_the_stream() -> None:
    sink = Recorder()
    tap = EchoTap(sink)
    tap.names = frozenset({"echo"})
    failures: list[str] = []
    tap.on_failure = lambda name, error: failures.append(f"{name}: {error}")

    def fail(*_: object) -> None:
        raise ValueError("defect")

    tap.on_echoes = fail
    tap.open(plan_of(ECHO), StreamFacts(Origin("b", "p", 1.0, 1.0, 0.0, 0.0), 0.0))
    for _ in range(2):
        tap.push(plan_of(ECHO), TICKS, VALUES, STAMPS_S)
    tap.late(plan_of(ECHO), ECHO, TICKS, VALUES[:, 0], STAMPS_S)
    assert sink["bela_echo"].n_samples == 4
    assert len(sink.late_values) == 1
    assert failures == ["echo: defect"]  # once
