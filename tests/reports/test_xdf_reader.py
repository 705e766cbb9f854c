"""Recordings are read: whole ones, damaged ones, and those that are none."""

from __future__ import annotations

import gzip
import logging
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import pyxdf

from bela_module.errors import ExtraMissingError, RecordingError
from bela_module.reports.recorded_stream import StreamRole
from bela_module.reports.xdf_chunks import find_whole_chunks
from bela_module.reports.xdf_reader import read_recording
from tests.support.recordings import BEGIN_S, MadeRecording, healthy, regular


def test_all_of_it(tmp_path: Path) -> None:
    made = healthy()
    made.streams[0].input_delay_s = 0.003
    recording = read_recording(made.write(tmp_path / "x.xdf"))
    pot, touch, clock, events = recording.streams
    assert recording.warnings == ()
    assert (pot.name, pot.labels, pot.mode, pot.nominal_rate_hz) == (
        "bela_pot1", ("pot1",), "dense", 1000.0,
    )  # fmt: skip
    assert pot.input_delay_s == 0.003
    np.testing.assert_allclose(pot.stamps_s, regular(10_000), rtol=0, atol=1e-9)
    assert pot.kept == touch.kept == ()
    assert clock.role is StreamRole.CLOCK
    assert clock.column(1).tolist() == [0.0004] * 10
    assert events.texts == (("started",), ("stopped",))


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    made = MadeRecording()
    rows = np.arange(30.0).reshape(10, 3)
    rows[4, 2] = np.nan
    made.samples("eeg", regular(10), rows=rows, labels=("a", "b", "c"))
    path = made.write(tmp_path / "x.xdf")
    asked: list[tuple[str, str, tuple[str, ...]]] = []

    def keep(name: str, source_id: str, labels: tuple[str, ...]) -> tuple[int, ...]:
        asked.append((name, source_id, labels))
        return (2, 0)

    (stream,) = read_recording(path, keep).streams
    assert asked[0] == ("eeg", "bela:bela:simulation:eeg", ("a", "b", "c"))
    np.testing.assert_array_equal(stream.column(0), rows[:, 0])
    np.testing.assert_array_equal(stream.column(2), rows[:, 2])
    assert stream.n_not_numbers is not None
    assert stream.n_not_numbers.tolist() == [0, 0, 1]


def test_times_are_those_of_the_recording_computer(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("elsewhere", regular(10), offset_s=100.0)
    (stream,) = read_recording(made.write(tmp_path / "x.xdf")).streams
    assert stream.stamps_s[0] == pytest.approx(BEGIN_S + 100)


def test_times_and_values_are_those_of_pyxdf(tmp_path: Path) -> None:
    """With a clock that drifts against the recording one's, and samples without stamps."""
    made = MadeRecording()
    rows = np.random.default_rng(1).normal(size=(5000, 3)).astype(np.float32)
    made.samples("eeg", regular(5000), rows=rows, labels=("a", "b", "c"))
    path = made.write(tmp_path / "x.xdf")
    with path.open("ab") as file:
        for at_s in np.arange(BEGIN_S, BEGIN_S + 5, 0.5):
            offset_s = 0.3 + 1e-4 * (at_s - BEGIN_S)
            file.write(chunk(4, struct.pack("<Idd", 1, at_s, offset_s)))
        for _ in range(3):  # the first sample has a stamp, the others are deduced
            values = np.arange(30, dtype="<f4").reshape(10, 3)
            samples = [b"\x08" + struct.pack("<d", BEGIN_S + 6)] + 9 * [b"\x00"]
            body = b"".join(head + row.tobytes() for head, row in zip(samples, values, strict=True))
            file.write(chunk(3, struct.pack("<I", 1) + b"\x01\x0a" + body))
    (stream,) = read_recording(path, lambda *_: (0, 1, 2)).streams
    (expected,), _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    np.testing.assert_allclose(stream.stamps_s, expected["time_stamps"], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(stream.values, expected["time_series"])
    assert abs(stream.stamps_s[0] - BEGIN_S) > 0.1


def chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def test_a_damaged_chunk_of_samples_is_left_out(tmp_path: Path) -> None:
    path = healthy().write(tmp_path / "x.xdf")
    with path.open("ab") as file:
        file.write(chunk(3, struct.pack("<I", 1) + b"\x01\x05" + bytes(7)))
    recording = read_recording(path)
    assert recording.streams[0].stamps_s.size == 10_000
    assert recording.warnings == ("chunks of samples that are damaged and left out: 1",)


def test_behind_damaged_texts_all_else_is_read(tmp_path: Path) -> None:
    made = healthy()
    made.streams.insert(0, made.streams.pop())
    content = made.write(tmp_path / "x.xdf").read_bytes()
    path = tmp_path / "damaged.xdf"
    path.write_bytes(
        content.replace(b"\x04\x07\x00\x00\x00started", b"\x04\x07\x00\x00\x05started")
    )
    recording = read_recording(path)
    assert [stream.stamps_s.size for stream in recording.streams] == [1, 10_000, 10, 10]
    assert recording.streams[0].texts == (("stopped",),)
    assert recording.warnings == ("chunks of samples that are damaged and left out: 1",)


def test_a_chunk_of_texts_that_says_it_has_billions_is_left_out(tmp_path: Path) -> None:
    path = healthy().write(tmp_path / "x.xdf")
    with path.open("ab") as file:
        file.write(chunk(3, struct.pack("<I", 4) + b"\x04\xff\xff\xff\xff" + bytes(9)))
    (events,) = read_recording(path).streams[3:]
    assert events.texts == (("started",), ("stopped",))


def test_stamps_are_not_smoothed(tmp_path: Path) -> None:
    made = MadeRecording()
    stamps_s = np.delete(regular(5000), np.arange(2000, 2100))
    made.samples("bela_pot1", stamps_s)
    (stream,) = read_recording(made.write(tmp_path / "x.xdf")).streams
    np.testing.assert_allclose(stream.stamps_s, stamps_s, rtol=0, atol=1e-9)


def test_a_stream_without_samples(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_pot1", regular(0), labels=("a", "b"))
    made.events([])
    pot, events = read_recording(made.write(tmp_path / "x.xdf"), lambda *_: (1,)).streams
    assert pot.column(1).size == pot.stamps_s.size == 0
    assert events.texts == ()


def test_cut_short_what_is_whole_is_read(tmp_path: Path) -> None:
    path = healthy().write(tmp_path / "x.xdf")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    recording = read_recording(path)
    assert recording.streams[0].stamps_s.size == 2500
    cut, killed = recording.warnings
    assert "cut short or damaged" in cut
    assert "did not end 4 of 4 streams properly" in killed


def test_a_stream_that_ended_before_the_recorder_is_named(tmp_path: Path) -> None:
    path = healthy().write(tmp_path / "x.xdf")
    with path.open("rb") as file:
        last = find_whole_chunks(file).chunks[-1]
    path.write_bytes(path.read_bytes()[: last.begin])
    (warning,) = read_recording(path).warnings
    assert warning == (
        "the recorder did not end 1 of 4 streams properly: bela_events; what published them was "
        "gone, or it cannot record that"
    )


@pytest.mark.parametrize("cut", [0, 100])
def test_a_compressed_file(tmp_path: Path, cut: int) -> None:
    content = gzip.compress(healthy().write(tmp_path / "x.xdf").read_bytes())
    path = tmp_path / "x.xdfz"
    path.write_bytes(content[: len(content) - cut])
    recording = read_recording(path)
    assert len(recording.streams) == 4
    assert bool(recording.warnings) == bool(cut)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "is empty: nothing was recorded"),
        (b"RIFF....", "is no XDF file"),
        (b"XDF:", "no stream is in this file"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.xdf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=words) as raised:
        read_recording(path)
    assert str(path) in str(raised.value)


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="it is a folder"):
        read_recording(tmp_path)


def test_a_header_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    path = healthy().write(tmp_path / "x.xdf")
    content = path.read_bytes()
    for channel_format in (b"float32", b"double64", b"string"):
        content = content.replace(channel_format, channel_format[:-2] + b"99")
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="cannot be read: "):
        read_recording(path)


def test_a_stream_whose_header_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    made = healthy()
    made.samples("other", regular(10), source_id="amp")
    made.samples("many", regular(10), source_id="amp")
    path = made.write(tmp_path / "x.xdf")
    content = path.read_bytes()
    for name, right, wrong in (("other", "float32", "float99"), ("many", "t>1</", "t>x</")):
        before, after = content.split(f"<name>{name}</name>".encode())
        after = after.replace(right.encode(), wrong.encode(), 1)
        content = before + f"<name>{name}</name>".encode() + after
    path.write_bytes(content)
    recording = read_recording(path)
    assert len(recording.streams) == 4
    assert [warning.split(":")[0] for warning in recording.warnings] == [
        "the stream 'other' cannot be read and is left out",
        "the stream 'many' cannot be read and is left out",
    ]


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_stream_of_number_0(tmp_path: Path, is_readable: bool) -> None:
    made = healthy()
    path = made.write(tmp_path / "x.xdf")
    header = made.streams[0].header().replace("bela_pot1", "zero")
    if not is_readable:
        header = header.replace("float32", "float99")
    number = struct.pack("<I", 0)
    with path.open("ab") as file:
        file.write(chunk(2, number + header.encode()))
        file.write(chunk(3, number + b"\x01\x01\x08" + struct.pack("<df", BEGIN_S, 2)))
        file.write(chunk(4, number + struct.pack("<dd", BEGIN_S, 0.0)))
        file.write(chunk(6, number + b"<info><sample_count>1</sample_count></info>"))
    recording = read_recording(path)
    names = [stream.name for stream in recording.streams]
    assert names[:4] == [stream.name for stream in made.streams]
    assert names[4:] == (["zero"] if is_readable else [])
    told = [warning.split(":")[0] for warning in recording.warnings]
    assert told == ([] if is_readable else ["the stream 'zero' cannot be read and is left out"])


def test_a_second_header_does_not_begin_the_stream_anew(tmp_path: Path) -> None:
    made = MadeRecording()
    made.samples("bela_pot1", regular(100))
    path = made.write(tmp_path / "x.xdf")
    with path.open("ab") as file:
        file.write(chunk(2, struct.pack("<I", 1) + made.streams[0].header().encode()))
        file.write(
            chunk(3, struct.pack("<I", 1) + b"\x01\x01\x08" + struct.pack("<df", BEGIN_S + 1, 2))
        )
    (stream,) = read_recording(path).streams
    assert stream.stamps_s.size == 101


@pytest.mark.parametrize("damaged_s", [np.nan, np.inf, -1e200])
def test_samples_whose_stamp_is_no_time_are_left_out(tmp_path: Path, damaged_s: float) -> None:
    made = healthy(400)
    made.streams[0].stamps_s[30] = damaged_s
    made.events([(BEGIN_S, "started"), (damaged_s, "x"), (BEGIN_S + 1, "stopped")])
    recording = read_recording(made.write(tmp_path / "x.xdf"), lambda *_: (0,))
    pot, events = recording.streams[0], recording.streams[4]
    np.testing.assert_allclose(pot.stamps_s, np.delete(regular(400), 30), rtol=0, atol=1e-9)
    assert pot.column(0).size == 399
    assert events.texts == (("started",), ("stopped",))
    assert recording.warnings == ("samples whose stamp is no time and that are left out: 2",)


def test_offsets_that_are_no_times_are_not_used(tmp_path: Path) -> None:
    made = healthy(400)
    made.streams[0].offset_s = np.nan
    recording = read_recording(made.write(tmp_path / "x.xdf"))
    np.testing.assert_allclose(recording.streams[0].stamps_s, regular(400), rtol=0, atol=1e-9)
    assert recording.warnings[0].startswith("the offsets between the computers' clocks cannot be")


def test_damaged_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    content = healthy(400).write(tmp_path / "x.xdf").read_bytes()
    random = np.random.default_rng(7)
    path = tmp_path / "damaged.xdf"
    n_read = 0
    for _ in range(40):
        damaged = bytearray(content)
        for at in random.integers(4, len(content), 3):
            damaged[at] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_recording(path)
            n_read += 1
        except RecordingError:
            pass
    assert n_read > 10


def test_without_pyxdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyxdf", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'dp-bela\[record\]'"):
        read_recording(tmp_path / "x.xdf")


def test_the_logger_is_left_as_it_was(tmp_path: Path) -> None:
    logger = logging.getLogger("pyxdf")
    before = logger.propagate, list(logger.handlers)
    read_recording(healthy(400).write(tmp_path / "x.xdf"))
    assert (logger.propagate, logger.handlers) == before
