"""The Monitor: single values at a low rate, alone and beside a running Streamer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module import Monitor, Streamer
from bela_module.errors import ArgumentError, NoReplyError, RequestError
from bela_module.recording.file_writers import SUFFIXES
from bela_module.simulator.simulated_board import SimulatedBoard


@pytest.fixture
def monitor(board: SimulatedBoard) -> Iterator[Monitor]:
    with Monitor("127.0.0.1", board.port) as monitor:
        yield monitor


def test_a_number_of_values_at_their_periods(monitor: Monitor, board: SimulatedBoard) -> None:
    values = monitor.monitor_n_values(["ramp_d", "ramp_j"], [500, 250], n_values=6)
    for name, period in (("ramp_d", 500), ("ramp_j", 250)):
        ticks = values[name]["timestamps"]
        assert values[name]["values"] == ticks
        assert len(ticks) == len(values[name]["lsl_timestamps"]) == 6
        assert set(np.diff(ticks)) == {period}
        np.testing.assert_allclose(
            values[name]["lsl_timestamps"], board.true_time_s(ticks), atol=0.02
        )
    assert board.monitored() == {}


def test_until_it_is_stopped(
    monitor: Monitor, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    monitor.start_monitoring(periods=441)
    assert set(board.monitored().values()) == {441}
    assert len(monitor.monitored_vars) == 6
    wait_until(lambda: len(monitor.values["ramp_i"]["values"]) >= 3, "three values")
    kept = monitor.stop_monitoring(["ramp_i", "ramp_sparse"])
    assert kept["ramp_sparse"]["values"] == kept["ramp_sparse"]["timestamps"]
    assert board.monitored().keys() == set(kept) - {"ramp_i", "ramp_sparse"}
    n_values = len(monitor.values["ramp_d"]["values"])
    wait_until(lambda: len(monitor.values["ramp_d"]["values"]) > n_values, "the others go on")
    assert monitor.values["ramp_i"] == kept["ramp_i"]
    assert monitor.stop_monitoring().keys() == {v["name"] for v in monitor.watcher_vars}
    assert board.monitored() == {}


def test_the_period_is_1000_ticks_unless_said(monitor: Monitor, board: SimulatedBoard) -> None:
    monitor.start_monitoring("ramp_d")
    assert board.monitored() == {"ramp_d": 1000}
    monitor.stop_monitoring()


def test_peeking_shows_what_the_sketch_has_just_assigned(
    monitor: Monitor, board: SimulatedBoard
) -> None:
    before = board.tick_now()
    seen = monitor.peek()
    after = board.tick_now()
    assert list(seen) == [variable["name"] for variable in monitor.watcher_vars]
    for name in ("ramp_d", "ramp_j"):
        assert before <= seen[name]["timestamp"] <= after
        assert seen[name]["value"] == seen[name]["timestamp"]
    assert isinstance(seen["ramp_j"]["value"], int)
    assert seen["ramp_c"]["value"] == seen["ramp_c"]["timestamp"] % 256
    assert monitor.peek("ramp_d").keys() == {"ramp_d"}
    assert board.monitored() == {}


def test_beside_a_running_streamer_nothing_is_lost_or_mixed(
    monitor: Monitor, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    with Streamer("127.0.0.1", board.port) as streamer:
        streamer.start_streaming("ramp_d")
        wait_until(lambda: streamer.streaming_buffers_data["ramp_d"], "the first buffer")
        with Monitor("127.0.0.1", board.port) as late:
            values = late.monitor_n_values(["ramp_d", "ramp_i"], 300, 5)
            seen = monitor.peek("ramp_d")
        streamer.stop_streaming()
        data = streamer.streaming_buffers_data["ramp_d"]
        assert set(np.diff(data)) == {1}
        assert streamer.report.endswith("none lost")
        (run,) = board.written("ramp_d")
        assert (data[0], data[-1]) == (run.first_tick, run.last_tick)
    assert set(values["ramp_d"]["values"]) <= set(data)
    assert data[0] <= seen["ramp_d"]["value"] <= data[-1]


@pytest.mark.parametrize("saving_format", ["text", "compact", "csv"])
def test_saving(monitor: Monitor, tmp_path: Path, saving_format: Any) -> None:
    values = monitor.monitor_n_values(
        "ramp_j", 100, 20, saving_enabled=True, saving_dir=tmp_path, saving_format=saving_format
    )
    path = monitor.saved_files["ramp_j"]
    assert path.name == "ramp_j_monitor" + SUFFIXES[saving_format]
    assert monitor.load_data_from_file(path) == values["ramp_j"]
    buffers: Any = monitor.load_data_from_file(path, flatten=False)
    assert [buffer["value"] for buffer in buffers] == values["ramp_j"]["values"]
    assert len(buffers) == 20


@pytest.mark.parametrize("periods", [np.int64(500), np.array([500]), [np.int32(500)], "500"])
def test_numbers_of_numpy_are_numbers(
    monitor: Monitor, board: SimulatedBoard, periods: Any
) -> None:
    monitor.start_monitoring("ramp_d", periods)
    assert board.monitored() == {"ramp_d": 500}
    values = monitor.monitor_n_values("ramp_d", periods, np.int64(2), timeout_s=np.float32(20))
    assert len(values["ramp_d"]["values"]) == 2


def test_what_cannot_be_is_refused_and_nothing_else_happens(
    monitor: Monitor, board: SimulatedBoard, tmp_path: Path
) -> None:
    monitor.start_monitoring("ramp_d")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("periods", {"periods": 1.5}),
        ("periods", {"periods": 0}),
        ("periods", {"periods": -1}),
        ("periods", {"periods": "often"}),
        ("n_values", {"n_values": 0}),
        ("n_values", {"n_values": -1}),
        ("n_values", {"n_values": "many"}),
        ("timeout_s", {"timeout_s": -1}),
        ("saving_dir", {"saving_enabled": True, "saving_dir": None}),
        ("saving_format", {"saving_enabled": True, "saving_format": "wav"}),
    ]
    for key, arguments in wrong:
        with pytest.raises(RequestError, match=key):
            monitor.monitor_n_values("ramp_d", **{"periods": 100, "n_values": 2, **arguments})
        assert board.monitored() == {"ramp_d": 1000}
    with pytest.raises(RequestError, match="variables"):
        monitor.stop_monitoring(5)  # type: ignore[arg-type]
    assert monitor.stop_monitoring().keys() <= {"ramp_d"}
    (tmp_path / "foreign.txt").write_text('{"ref_timestamp":1,"data":[1]}\n')
    with pytest.raises(ArgumentError, match="rel_timestamps"):
        monitor.load_data_from_file(tmp_path / "foreign.txt")


def test_errors_say_what_to_do(monitor: Monitor) -> None:
    with pytest.raises(RequestError, match="periods"):
        monitor.start_monitoring(["ramp_d"], [100, 200])
    with pytest.raises(NoReplyError, match="5 values of ramp_d"):
        monitor.monitor_n_values("ramp_d", 10_000_000, 5, timeout_s=0.05)
    assert not monitor.is_streaming()
