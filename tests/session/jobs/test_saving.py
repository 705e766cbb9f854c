"""Saving, by START and by a Streamer: files of their own, whole, and never over another one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bela_module import Streamer
from bela_module.errors import RequestError
from bela_module.recording import file_recorder as recorder
from bela_module.recording.file_writers import SUFFIXES
from bela_module.recording.recording_files import load_buffers
from bela_module.requests import MonitorRequest, StartRequest
from bela_module.session.jobs import saving
from bela_module.simulator.faults.timed_faults import Disconnect
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.fault_cases import SKETCH
from tests.support.observed_board import ObservedBoard
from tests.support.paths import ROOT
from tests.support.session_helpers import WaitUntil, answer, board_of, session_on, variable


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard("ramps", first_tick=2**31 - 20_000) as board:
        yield board


@pytest.fixture
def slow_board() -> Iterator[SimulatedBoard]:
    """Run one whose values are few enough for lists of them."""
    with SimulatedBoard("ramps", 5512.5) as board:
        yield board


@pytest.fixture
def streamer(board: SimulatedBoard) -> Iterator[Streamer]:
    with Streamer("127.0.0.1", board.port, arrays=True) as streamer:
        yield streamer


def test_what_start_streams_is_saved_whole_and_nothing_is_overwritten(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    folder = tmp_path / "recordings"
    request = StartRequest(saving_enabled=True, saving_dir="p01", saving_filename="rest")
    tables = {"recording": {"dir": str(folder), "format": "compact"}}
    with board_of(variable("ramp"), variable("other")) as board:
        with session_on(board, **tables) as one:
            for count in (1, 2):
                already = one.samples("bela_ramp")
                answer(one.session.start(request))
                wait_until(lambda n=already: one.samples("bela_ramp") > n + 2000, "samples")
                one.stop()
                assert len(list((folder / "p01").iterdir())) == 2 * count
            outside = StartRequest(saving_enabled=True, saving_dir="../elsewhere")
            with pytest.raises(RequestError, match="must lie inside of"):
                answer(one.session.start(outside))
        saved = np.concatenate([np.load(path) for path in sorted((folder / "p01").glob("*ramp*"))])
        kept = one.sink["bela_ramp"]
        order = np.argsort(saved["tick"])
        np.testing.assert_array_equal(saved["tick"][order], kept.ticks)
        np.testing.assert_array_equal(saved["value"][order], kept.ticks)
        np.testing.assert_array_equal(saved["lsl_s"][order], kept.stamps_s)
    assert not (tmp_path / "elsewhere").exists()


def test_a_start_that_is_interrupted_leaves_no_empty_files_beside_those_of_its_retry(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    request = StartRequest(saving_enabled=True, saving_filename="rest")
    tables = {"recording": {"dir": str(tmp_path), "format": "compact"}}
    with ObservedBoard(SKETCH) as board, session_on(board, **tables) as one:
        board.with_next("watch", lambda: board.inject(Disconnect()))
        one.session.start(request)
        wait_until(lambda: one.samples("bela_a") > 2000, "samples")
        one.stop()
        assert len([command for command in board.commands if command.cmd == "watch"]) > 1
        one.session.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bela_a_rest.npy",
        "bela_b_rest.npy",
    ]
    saved = np.load(tmp_path / "bela_a_rest.npy")
    np.testing.assert_array_equal(saved["tick"], one.sink["bela_a"].ticks)


def test_files_of_a_disk_that_was_too_slow_are_not_written_any_more(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, goes_on, new_paths = tmp_path / "slow", threading.Event(), recorder.new_paths

    def new_paths_in_time(folder: Path, *rest: Any) -> dict[str, Path]:
        if folder == slow:
            goes_on.wait(20.0)
        return new_paths(folder, *rest)

    monkeypatch.setattr(recorder, "new_paths", new_paths_in_time)
    tables = {"recording": {"dir": str(tmp_path), "format": "compact"}}
    with board_of(variable("ramp")) as board, session_on(board, **tables) as one:
        request = StartRequest(saving_enabled=True, saving_dir="slow", saving_filename="x")
        with pytest.raises(RequestError, match="the disk did not open the files"):
            answer(one.session.start(request))
        answer(one.session.start(request.model_copy(update={"saving_dir": "fast"})))
        goes_on.set()
        names = ("bela-files", "bela-recorder")
        wait_until(
            lambda: sorted(t.name for t in threading.enumerate() if t.name in names) == [names[1]],
            "that those files are let go",
        )
        assert list(slow.iterdir()) == []
        wait_until(lambda: one.samples("bela_ramp") > 2000, "samples")
        one.stop()
        one.session.close()
        saved = np.load(tmp_path / "fast" / "bela_ramp_x.npy")
        np.testing.assert_array_equal(saved["tick"], one.sink["bela_ramp"].ticks)


def test_a_folder_on_a_disk_that_hangs_holds_up_nothing_that_streams(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, saving_folder = threading.Event(), saving.saving_folder

    def hang(*arguments: Any) -> Path:
        goes_on.wait(20.0)
        return saving_folder(*arguments)

    monkeypatch.setattr(saving, "saving_folder", hang)
    tables = {"recording": {"dir": str(tmp_path)}}
    both = variable("ramp"), variable("other")
    with board_of(*both) as board, session_on(board, **tables) as one:
        answer(one.session.monitor(MonitorRequest(variables=("other",), periods=(50,))))
        wait_until(lambda: one.samples("bela_other") > 10, "samples")
        request = StartRequest(variables=("ramp",), saving_enabled=True, saving_filename="x")
        starting = one.session.start(request)
        already = one.samples("bela_other")
        wait_until(lambda: one.samples("bela_other") > already + 100, "samples meanwhile")
        assert not starting.done()
        goes_on.set()
        answer(starting)
        one.stop()


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
def test_a_recording_that_is_removed_is_a_shortfall(tmp_path: Path, wait_until: WaitUntil) -> None:
    tables = {"recording": {"dir": str(tmp_path / "all"), "format": "compact"}}
    with board_of(variable("ramp")) as board, session_on(board, **tables) as one:
        answer(one.session.start(StartRequest(saving_enabled=True, saving_filename="x")))
        wait_until(lambda: one.samples("bela_ramp") > 2000, "samples")
        shutil.rmtree(tmp_path / "all")
        told = f"{tmp_path / 'all' / 'bela_ramp_x.npy'} was removed, and is written again"
        wait_until(lambda: told in str(one.session.status()["shortfalls"]), "that it is told")
        assert told in str(one.session.status()["last_error"])
        one.stop()
        one.session.close()
    saved = np.load(tmp_path / "all" / "bela_ramp_x.npy")
    np.testing.assert_array_equal(saved["tick"], one.sink["bela_ramp"].ticks)


@pytest.mark.parametrize("saving_format", ["text", "compact", "csv"])
def test_what_is_saved_is_what_streamed(
    streamer: Streamer, tmp_path: Path, saving_format: Any
) -> None:
    for _run in range(2):
        queue = streamer.stream_n_values(
            ["ramp_d", "ramp_j"],
            n_values=3000,
            saving_enabled=True,
            saving_filename="run.txt",
            saving_dir=tmp_path / "new",
            saving_format=saving_format,
        )
    suffix = SUFFIXES[saving_format]
    assert len(list((tmp_path / "new").iterdir())) == 4
    assert streamer.saved_files["ramp_j"] == tmp_path / "new" / f"ramp_j_run__1{suffix}"
    for name, path in streamer.saved_files.items():
        loaded = streamer.load_data_from_file(path)
        data = np.concatenate([buffer["data"] for buffer in loaded])
        np.testing.assert_array_equal(data, streamer.streaming_buffers_data[name])
        if saving_format == "text":
            assert len(loaded) == len(queue[name])
            assert loaded[0]["ref_timestamp"] == queue[name][0]["ref_timestamp"]


@pytest.mark.skipif(os.name == "nt", reason="there, a Ctrl-C cannot be sent to one process")
def test_files_are_complete_after_ctrl_c(slow_board: SimulatedBoard, tmp_path: Path) -> None:
    script = """
        import signal
        import sys
        from bela_module import Streamer

        signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in the background
        streamer = Streamer("127.0.0.1", int(sys.argv[1]))
        streamer.connect()
        said = []
        def say(buffer):
            if not said:
                print("streaming", flush=True)
            said.append(buffer)
        streamer.start_streaming(
            ["ramp_d"], saving_enabled=True, saving_dir=sys.argv[2], on_buffer_callback=say
        )
        streamer.wait(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(slow_board.port), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "streaming\n"
        process.send_signal(signal.SIGINT)
        try:
            _, complaints = process.communicate(timeout=50)
        finally:
            process.kill()
    assert "KeyboardInterrupt" in complaints
    ticks = np.concatenate(
        [
            np.asarray(buffer["rel_timestamps"]) + buffer["ref_timestamp"]
            for buffer in load_buffers(tmp_path / "ramp_d_var_stream.txt")
        ]
    )
    (run,) = slow_board.written("ramp_d")
    assert (ticks[0], ticks[-1], ticks.size) == (run.first_tick, run.last_tick, run.n_values)
    assert slow_board.watched_names() == []


def test_values_that_the_disk_did_not_take_are_told(
    streamer: Streamer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    streamer.start_streaming("ramp_d", saving_enabled=True, saving_dir=tmp_path)
    wait_until(lambda: streamer.streaming_buffers_data["ramp_d"], "the first buffer")
    monkeypatch.setattr(recorder, "_MAX_WAITING_VALUES", 0)
    wait_until(lambda: "its file lacks" in streamer.report, "losses")
    monkeypatch.undo()
    n_buffers = len(streamer.streaming_buffers_queue["ramp_d"])
    wait_until(
        lambda: len(streamer.streaming_buffers_queue["ramp_d"]) > n_buffers + 1, "room again"
    )
    streamer.stop_streaming()
    saved = streamer.load_data_from_file(streamer.saved_files["ramp_d"])
    data = np.concatenate([buffer["data"] for buffer in saved])
    n_missing = len(streamer.streaming_buffers_data["ramp_d"]) - data.size
    assert n_missing == sum(buffer["lost"] for buffer in saved) == int(np.sum(np.diff(data) - 1))
    assert streamer.report.endswith(f"none lost; its file lacks {n_missing} of them")
    told = f"the recording lacks {n_missing} values of ramp_d: the disk was too slow"
    wait_until(lambda: streamer.last_error == told, "the report")
