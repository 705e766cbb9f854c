"""What a capture says about its board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bela_module.connection.capture_file import CapturedMessage, read_capture
from bela_module.errors import CaptureError
from bela_module.simulator.replay.capture_contents import TickLine, read_contents

CapturePath = Callable[[str], Path]


@pytest.mark.parametrize(
    ("name", "rate_hz", "first_tick", "n_lists"),
    [
        ("alltypes", 44100, 26320, 2),
        ("monitor-alltypes", 44100, 26304, 2),
        ("potentiometers", 22050, 13160, 2),
        ("large-ticks", 44100, 4295117104, 2),
        ("scheduled", 44100, 48385, 4),
    ],
)
def test_project_ticks_and_rate_are_found(
    name: str, rate_hz: float, first_tick: int, n_lists: int, capture_path: CapturePath
) -> None:
    recording = read_contents(read_capture(capture_path(name)))
    assert recording.first_tick == first_tick
    assert recording.line.rate_hz == pytest.approx(rate_hz, rel=0.005)
    assert len(recording.lists) == n_lists
    for listed_s, listed in recording.lists:
        # A reply is never ahead of the line, and at most some blocks of audio behind it.
        assert 0 <= recording.line.tick(listed_s) - listed.tick < 0.02 * rate_hz
        assert recording.list_at(listed_s) is listed
    assert recording.list_at(-1.0) is recording.lists[0][1]


def test_monitors_are_told_from_watches(capture_path: CapturePath) -> None:
    assert not read_contents(read_capture(capture_path("monitor-alltypes"))).watches
    assert read_contents(read_capture(capture_path("manyvars"))).watches


def test_a_line_turns_time_into_ticks_and_back() -> None:
    line = TickLine(tick_at_zero=100.0, rate_hz=1000.0)
    assert [line.tick(time_s) for time_s in (-1.0, 0.0, 0.0125)] == [0, 100, 112]
    np.testing.assert_allclose(line.time_s(112), 0.012)


@pytest.mark.parametrize(
    ("left_out", "missing"), [("projectName", "connection event"), ('"watchers"', "'list' reply")]
)
def test_what_is_missing_is_named(left_out: str, missing: str, capture_path: CapturePath) -> None:
    messages = [
        message
        for message in read_capture(capture_path("alltypes"))
        if not (message.from_board and left_out in str(message.message))
    ]
    with pytest.raises(CaptureError, match=f"no {missing}"):
        read_contents(messages)


def test_data_of_unknown_variables_is_no_data(capture_path: CapturePath) -> None:
    kept = [m for m in read_capture(capture_path("alltypes")) if m.channel == "control"]
    noise = [CapturedMessage(1.0, "data", True, b"77/f"), CapturedMessage(1.0, "data", True, b"x")]
    with pytest.raises(CaptureError, match="no block"):
        read_contents(kept + noise)


def test_replies_that_no_board_writes_are_named() -> None:
    with pytest.raises(CaptureError, match=r"at 1\.5 s"):
        read_contents([CapturedMessage(1.5, "control", True, "not json")])
