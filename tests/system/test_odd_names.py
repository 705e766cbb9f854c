"""Names that C++ allows and LSL, files, XML or a terminal may not: from the board to all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bela_module import Streamer
from bela_module.protocol.variables import ValueType
from bela_module.recording.recording_files import load_buffers
from bela_module.session.delivery.watchdog import Cause
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.assignments import (
    NEVER_ASSIGNED,
    Assignments,
    UnevenAssignments,
)
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import SketchVariable
from bela_module.simulator.sketches.unusual import ODD_NAMES
from bela_module.streams.lsl_clock import local_clock
from tests.support.paths import ROOT
from tests.support.server_helpers import Client, Launched
from tests.support.session_helpers import WaitUntil, board_of, session_at

STATUS_CHARS = 16_000
"""Of 13 streams, however long the names are."""
LINE_CHARS = 2_000
RATE_HZ = 11_025.0

CONSUMER = r"""
import json, sys
import xml.etree.ElementTree as ET
import numpy as np, pylsl

found = []
for info in pylsl.resolve_bypred(f"starts-with(name, '{sys.argv[1]}') and type='Bela'", 13, 20):
    inlet = pylsl.StreamInlet(info, 30, processing_flags=0)
    inlet.open_stream(20)
    root = ET.fromstring(inlet.info(20).as_xml())
    samples, stamps_s = inlet.pull_chunk(5.0, 2000)
    steps = set(np.diff(np.array(samples)[:, 0]).tolist())
    names = [info.name(), root.findtext("name"), root.findtext("source_id")]
    label = root.findtext("desc/channels/channel/label")
    found.append([*names, label, len(stamps_s), sorted(steps)])
print(json.dumps(found))
"""


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard("odd-names", RATE_HZ, clock=local_clock) as board:
        yield board


def test_from_the_board_to_other_programs(
    board: SimulatedBoard, unique: str, tmp_path: Path
) -> None:
    config = tmp_path / "bela.toml"
    config.write_text(
        f'[recording]\ndir = "{(tmp_path / "files").as_posix()}"\n'
        f'[streaming]\nprefix = "{unique}"\nevents_stream = "{unique}e"\nclock_stream = ""\n'
    )
    address = f"--board=127.0.0.1:{board.port}"
    log = tmp_path / "log.txt"
    with log.open("wb") as output:
        module = Launched(address, f"--config={config}", stderr=output.fileno())
        try:
            client = Client(module.port)
            client.send('VERBOSE|{"on": true};')
            assert client.line() == "OK VERBOSE"
            client.send('START|{"saving_enabled": true, "saving_filename": "run"};')
            assert client.line() == "OK START"
            command = [sys.executable, "-c", CONSUMER, unique]
            streams = json.loads(subprocess.check_output(command, cwd=ROOT, timeout=50))
            client.send("STATUS;")
            line = client.line()
            client.send("STOP;")
            assert client.line() == "OK STOP"
            for name in ("slash/and\\backslash", "quotes \"double\" and 'single'", "a,b+c=d:e"):
                client.send("START|" + json.dumps({"variables": [name]}) + ";")
                assert client.line() == "OK START"
                client.send("STOP;")
                assert client.line() == "OK STOP"
            for name in (*ODD_NAMES[-1:], "line\nfeed \x1b[31m", "unknown \udcff"):
                client.send("START|" + json.dumps({"variables": [name]}) + ";")
                answer = client.line()
                assert answer.startswith("ERROR START: ")
                assert answer.isprintable()
                assert len(answer) < LINE_CHARS
            assert client.is_up()
            client.close()
        finally:
            module.end()
            module.close()

    assert len(streams) == len(ODD_NAMES)
    names = {row[0] for row in streams}
    assert len(names) == len(ODD_NAMES)
    for name, xml_name, identity, label, n_samples, steps in streams:
        assert name == xml_name
        assert identity == f"bela:bela:odd-names:{name}"
        assert name == unique + (label or name.removeprefix(unique))  # XML has no label of spaces
        assert name.isprintable()
        assert len(name) < 150
        assert n_samples > 0
        assert steps == [1.0]

    assert line.isascii()
    assert len(line) < STATUS_CHARS
    status = json.loads(line)
    assert {stream["name"] for stream in status["streams"]} == names
    assert set(status["problems"]) <= {Cause.QUIET.value}  # a computer that stands still

    files = list((tmp_path / "files").iterdir())
    assert len(files) == len(ODD_NAMES)
    for file in files:
        assert len(file.name.encode()) < 250
        ticks = np.concatenate([buffer["data"] for buffer in load_buffers(file)])
        assert set(np.diff(ticks)) == {1}  # of one variable only

    for written in log.read_text("utf-8").splitlines():
        assert written.isprintable(), written
        assert len(written) < LINE_CHARS


def test_notices_of_odd_names_are_printable_and_bounded(wait_until: WaitUntil) -> None:
    longest, controls = ODD_NAMES[-1], ODD_NAMES[6]
    assert "\n" in controls
    slow = SketchVariable(longest, ValueType.DOUBLE, ramp, False, Assignments(8000))
    uneven = SketchVariable(controls, ValueType.DOUBLE, ramp, False, UnevenAssignments(8000, 300))
    gain = SketchVariable("gain\r" + longest, ValueType.FLOAT, ramp, assignments=NEVER_ASSIGNED)
    with board_of(slow, uneven, gain) as board, session_at(board.port) as one:
        one.start()
        wait_until(lambda: len(one.session.status()["notices"]) >= 3, "notices of all")
        one.stop()
        status = one.session.status()
    for text in (*status["notices"], *one.sink.events, *status["shortfalls"], *status["problems"]):
        assert text.isprintable(), text
        assert len(text) < 500
    assert len(json.dumps(status)) < STATUS_CHARS


def test_files_of_names_that_become_the_same_are_two(tmp_path: Path) -> None:
    names = ("a/b", "a:b", "A?b", "a_b")
    with (
        board_of(*(SketchVariable(name, ValueType.DOUBLE, ramp) for name in names)) as board,
        Streamer("127.0.0.1", board.port) as streamer,
    ):
        streamer.stream_n_values(
            names, n_values=2000, saving_enabled=True, saving_dir=tmp_path, saving_filename="run"
        )
        files = streamer.saved_files
    assert list(files) == list(names)
    assert len({path.name.casefold() for path in files.values()}) == 4
    for path in files.values():
        ticks = np.concatenate([buffer["data"] for buffer in load_buffers(path)])
        assert set(np.diff(ticks)) == {1}
