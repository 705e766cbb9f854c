"""One outlet: arrays reach LSL by the fast call of pylsl and by the public one alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pylsl
import pytest

from bela_module.errors import StreamError
from bela_module.streams.lsl.lsl_outlet import LslOutlet, push_array
from bela_module.streams.sample_formats import SampleFormat

RESOLVE_S = 10.0


def info_of(name: str) -> pylsl.StreamInfo:
    return pylsl.StreamInfo(name, "Bela", 2, 1000.0, pylsl.cf_float32, f"id of {name}")


class PublicOnly:
    """An outlet of a pylsl that has no such call for arrays."""

    def __init__(self, outlet: pylsl.StreamOutlet) -> None:
        self._outlet = outlet

    def push_chunk(self, samples: Any, stamps: Any) -> None:
        self._outlet.push_chunk(samples, stamps)


@pytest.mark.parametrize("public", [False, True], ids=["fast", "public"])
def test_values_and_stamps_arrive_as_they_were_pushed(unique: str, public: bool) -> None:
    values = np.arange(200, dtype=np.float32).reshape(100, 2)
    stamps_s = 1000.0 + np.arange(100) * 0.0010001
    outlet = pylsl.StreamOutlet(info_of(unique), 0, 10)
    (found,) = pylsl.resolve_byprop("name", unique, 1, RESOLVE_S)
    inlet = pylsl.StreamInlet(found, processing_flags=pylsl.proc_none)
    inlet.open_stream(RESOLVE_S)
    push_array(PublicOnly(outlet) if public else outlet, values, stamps_s)
    rows: list[list[float]] = []
    times_s: list[float] = []
    while len(rows) < 100:
        more, stamps = inlet.pull_chunk(timeout=RESOLVE_S, max_samples=100)
        assert more, f"{len(rows)} of 100 samples arrived"
        rows += more
        times_s += stamps
    inlet.close_stream()
    assert rows == values.tolist()
    np.testing.assert_allclose(times_s, stamps_s, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("channel_format", "value"),
    [
        (SampleFormat.INT8, -100),
        (SampleFormat.INT32, -(2**31)),
        (SampleFormat.FLOAT32, 0.1),
        (SampleFormat.DOUBLE64, 2.0**53 - 1.0),
        (SampleFormat.DOUBLE64, float("inf")),
    ],
)
def test_a_value_alone_arrives_as_it_was_pushed(
    unique: str, channel_format: SampleFormat, value: float
) -> None:
    info = pylsl.StreamInfo(unique, "Bela", 1, 0.0, channel_format.value, f"id of {unique}")
    outlet = pylsl.StreamOutlet(info, 0, 10)
    (found,) = pylsl.resolve_byprop("name", unique, 1, RESOLVE_S)
    inlet = pylsl.StreamInlet(found, processing_flags=pylsl.proc_none)
    inlet.open_stream(RESOLVE_S)
    values = np.array([[value]], channel_format.dtype)
    push_array(outlet, values, np.array([1000.123456789]))
    sample, stamp_s = inlet.pull_sample(RESOLVE_S)
    inlet.close_stream()
    assert sample == values[0].tolist()
    assert stamp_s == 1000.123456789


def test_an_outlet_that_was_ended_takes_nothing_and_does_no_harm(unique: str) -> None:
    outlet = LslOutlet(info_of(unique), 10)
    assert outlet.uid
    assert not outlet.has_consumers()
    outlet.end()
    outlet.end()
    outlet.push(np.zeros((1, 2), np.float32), np.ones(1))
    outlet.push_text("started", 1.0)
    assert not outlet.has_consumers()


def test_what_lsl_refuses_is_one_of_our_errors(
    unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any) -> None:
        raise RuntimeError("no descriptors")

    monkeypatch.setattr(pylsl, "StreamOutlet", refuse)
    with pytest.raises(StreamError, match=f"could not create the stream '{unique}': no desc"):
        LslOutlet(info_of(unique), 10)
