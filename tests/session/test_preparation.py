"""A preparation fits a START of the same variables in the same groups."""

from __future__ import annotations

from dataclasses import replace

from bela_module.config import parse_settings
from bela_module.protocol.variables import ValueType, Variable
from bela_module.session.preparation import Preparation
from bela_module.streams.stream_plans import plan_streams

A, B = (Variable(index, name, ValueType.FLOAT) for index, name in enumerate("ab"))
PREPARED = Preparation((A, B), "auto", plan_streams((A, B), parse_settings({}, "test")), {})


def test_it_is_for_the_same_variables_in_any_order() -> None:
    assert PREPARED.is_for((B, A), "auto")
    assert not PREPARED.is_for((A,), "auto")
    assert not PREPARED.is_for((A, B), "none")
    assert not PREPARED.is_for((A, replace(B, value_type=ValueType.INT)), "auto")


def test_its_streams_have_no_samples() -> None:
    streams = PREPARED.status()
    assert [stream["name"] for stream in streams] == ["bela_a", "bela_b"]
    assert {stream["samples"] for stream in streams} == {0}
