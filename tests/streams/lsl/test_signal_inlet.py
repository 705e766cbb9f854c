"""Looking into streams: their description, samples, markers, and their end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import numpy as np
import pylsl
import pytest

from bela_module.streams.lsl.lsl_outlet import push_array
from bela_module.streams.lsl.signal_inlet import SignalInlet, find_signals

TIMEOUT_S = 20.0


def info_of(
    identity: str, name: str, kind: str = "Bela", *, rate_hz: float = 1000.0
) -> pylsl.StreamInfo:
    is_text = kind == "Markers"
    channel_format, rate_hz = ("string", 0.0) if is_text else ("float32", rate_hz)
    n_channels = 1 if is_text else 2
    info = pylsl.StreamInfo(name, kind, n_channels, rate_hz, channel_format, f"{identity}{name}")
    if not is_text:
        channels = info.desc().append_child("channels")
        for label in ("left", "right"):
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", "V")
    return info


def find(identity: str, n: int) -> dict[str, pylsl.StreamInfo]:
    until_s = time.monotonic() + TIMEOUT_S
    while len(found := find_signals(identity, 0.5)) < n:
        assert time.monotonic() < until_s
    return found


def test_only_the_streams_of_one_publisher_are_found() -> None:
    identity = f"bela:{uuid.uuid4().hex}:"
    outlets = []
    for instance in ("one", "two"):
        info = info_of(identity, "a")
        info.desc().append_child("acquisition").append_child_value("instance", instance)
        outlets.append(pylsl.StreamOutlet(info))
    assert len(find(identity, 2)) == 2
    until_s = time.monotonic() + TIMEOUT_S
    while not (found := find_signals(identity, 0.5, "two")):
        assert time.monotonic() < until_s
    assert list(found) == [outlets[1].get_info().uid()]
    assert find_signals(identity, 0.5, "three") == {}


def test_samples_and_markers_come_with_their_times(wait_until: Callable[..., None]) -> None:
    identity = f"bela:{uuid.uuid4().hex}:"
    infos = [
        info_of(identity, "a"),
        info_of(identity, "e", "Markers"),
        info_of(identity, "c", "Clock"),
    ]
    outlets = [pylsl.StreamOutlet(info) for info in infos]
    inlets = [SignalInlet(info, TIMEOUT_S) for info in find(identity, 2).values()]
    assert sorted(one.description.name for one in inlets) == ["a", "e"]  # the clock is no signal
    signal, events = sorted(inlets, key=lambda one: one.description.name)
    assert signal.description.labels == ("left", "right")
    assert signal.description.units == ("V", "V")
    assert signal.description.nominal_rate_hz == 1000.0
    assert events.description.is_events
    wait_until(lambda: outlets[0].have_consumers() and outlets[1].have_consumers())
    stamps_s = 1000.0 + np.arange(20_000) / 1000.0
    values = np.arange(40_000, dtype=np.float32).reshape(-1, 2)
    push_array(outlets[0], values, stamps_s)
    outlets[1].push_sample(["started"], 1000.5)
    came: list[tuple[np.ndarray, np.ndarray]] = []
    texts: list[tuple[float, str]] = []

    def pull() -> bool:
        came.append(signal.pull())
        texts.extend(events.pull_events())
        return sum(s.size for s, _ in came) == 20_000 and bool(texts)

    wait_until(pull, "all samples")
    np.testing.assert_array_equal(np.concatenate([v for _, v in came]), values)
    np.testing.assert_allclose(np.concatenate([s for s, _ in came]), stamps_s)
    assert texts == [(1000.5, "started")]
    for inlet in inlets:
        inlet.close()


def test_the_end_of_a_stream_is_told(wait_until: Callable[..., None]) -> None:
    identity = f"bela:{uuid.uuid4().hex}:"
    outlet = pylsl.StreamOutlet(info_of(identity, "a"))
    (info,) = find(identity, 1).values()
    inlet = SignalInlet(info, TIMEOUT_S)
    del outlet

    def has_ended() -> bool:
        try:
            inlet.pull()
        except EOFError:
            return True
        return False

    wait_until(has_ended, "the end")
    inlet.close()


def test_a_stream_that_is_gone_cannot_be_opened() -> None:
    identity = f"bela:{uuid.uuid4().hex}:"
    outlet = pylsl.StreamOutlet(info_of(identity, "a"))
    (info,) = find(identity, 1).values()
    del outlet
    with pytest.raises((TimeoutError, RuntimeError)):
        SignalInlet(info, 0.5)
