"""Outlets of a made-up board, and inlets that read them back as a consumer would."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pylsl
import pytest

from bela_module.config import Settings, parse_settings
from bela_module.protocol.variables import Array, ValueType, Variable
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Origin, Stamps, StreamFacts
from bela_module.streams.stream_plans import StreamPlan, plan_streams

RESOLVE_S = 10.0
ORIGIN = Origin(
    board="lab",
    project="potentiometers",
    tick_rate_hz=22050.125,
    declared_rate_hz=44100.0,
    uncertainty_s=0.000123,
    input_delay_s=0.0005,
    address="ws://192.0.2.7:5555",
)
FACTS = StreamFacts(ORIGIN, nominal_rate_hz=22050.0)
IRREGULAR = StreamFacts(ORIGIN, nominal_rate_hz=0.0)

WaitUntil = Callable[..., None]


def plan_of(unique: str, *types: ValueType, sparse: bool = False, **stream: Any) -> StreamPlan:
    """Plan a stream of variables v0, v1, ...; a group, or whatever is configured, when asked."""
    variables = [Variable(k, f"v{k}", kind, sparse) for k, kind in enumerate(types)]
    sections: dict[str, Any] = {"streaming": {"prefix": unique}}
    if stream or len(variables) > 1:
        names = [variable.name for variable in variables]
        sections["streams"] = {"group": {"variables": names, **stream}}
    settings: Settings = parse_settings(sections, "test")
    (plan,) = plan_streams(variables, settings)
    return plan


def push(outlets: LslOutlets, plan: StreamPlan, values: Array, stamps_s: Stamps) -> None:
    outlets.push(plan, np.arange(len(stamps_s), dtype=np.int64), values, stamps_s)


def resolve(name: str) -> pylsl.StreamInfo:
    found = pylsl.resolve_byprop("name", name, 1, RESOLVE_S)
    assert len(found) == 1, f"{name} was not found"
    return found[0]


def wait_for_outlet(outlets: LslOutlets, plan: StreamPlan) -> None:
    deadline_s = local_clock() + RESOLVE_S
    while not outlets.is_open(plan):
        assert local_clock() < deadline_s, f"{plan.name} was not opened"
        time.sleep(0.001)


@contextmanager
def opened(plan: StreamPlan, facts: StreamFacts = FACTS) -> Iterator[LslOutlets]:
    outlets = LslOutlets(f"{plan.name}_events")
    try:
        outlets.open(plan, facts)
        wait_for_outlet(outlets, plan)
        yield outlets
    finally:
        outlets.close()


@contextmanager
def listening(name: str) -> Iterator[pylsl.StreamInlet]:
    inlet = pylsl.StreamInlet(resolve(name), processing_flags=pylsl.proc_none)
    inlet.open_stream(RESOLVE_S)
    try:
        yield inlet
    finally:
        inlet.close_stream()


def pull(inlet: pylsl.StreamInlet, count: int) -> tuple[list[Any], list[float]]:
    samples: list[Any] = []
    stamps_s: list[float] = []
    while len(samples) < count:
        more, times_s = inlet.pull_chunk(timeout=RESOLVE_S, max_samples=count - len(samples))
        if not more:
            pytest.fail(f"{len(samples)} of {count} samples arrived in {RESOLVE_S} s")
        samples += more
        stamps_s += times_s
    return samples, stamps_s


def metadata(name: str) -> ET.Element:
    with listening(name) as inlet:
        return ET.fromstring(inlet.info(RESOLVE_S).as_xml())


def texts(root: ET.Element, path: str) -> list[str]:
    return [element.text or "" for element in root.findall(path)]
