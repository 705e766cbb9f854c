"""The Streamer tutorial, cell by cell, against a simulated board.

The text of the tutorial is not part of this checkout; where it lies beside it, its code cells
run as they stand, but for the import and for the shell commands. ``test_streamer.py`` takes the
same steps in words of its own, everywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bela_module.recording.recording_files import load_buffers
from bela_module.simulator.simulated_board import SimulatedBoard

TUTORIAL = Path(__file__).resolve().parents[3] / "shared" / "seeds" / "streamer-tutorial.txt"
IMPORT = "from pybela import Streamer"
CELL_MARK = "In [None]:"


def code_cells(text: str) -> list[str]:
    """Give the code cells: each follows its mark and ends where prose begins again."""
    cells = []
    for part in text.split(CELL_MARK)[1:]:
        lines: list[str] = []
        for line in part.strip("\n").split("\n"):
            if lines and not lines[-1].strip() and _is_prose(line):
                break
            lines.append(line)
        cells.append("\n".join(lines).rstrip())
    return cells


def _is_prose(line: str) -> bool:
    try:
        compile(line.strip() or "#", "line", "exec")
    except SyntaxError:
        return line[:1].isupper() or line.startswith("#")
    return line.startswith("###")


@pytest.fixture(scope="module")
def cells() -> list[str]:
    if not TUTORIAL.is_file():
        pytest.skip("the text of the Streamer tutorial does not lie beside this checkout")
    return [cell for cell in code_cells(TUTORIAL.read_text("utf-8")) if cell[0] not in "!"]


def test_all_cells_are_found(cells: list[str]) -> None:
    assert len(cells) == 6
    assert IMPORT in cells[0]
    for cell in cells:
        compile(cell, "cell", "exec")


def test_the_tutorial_runs_with_one_line_changed(
    cells: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {}
    printed: list[list[str]] = []
    with SimulatedBoard("potentiometers") as board:
        monkeypatch.setenv("BELA_HOST", "127.0.0.1")
        monkeypatch.setenv("BELA_PORT", str(board.port))
        try:
            for cell in cells:
                code = cell.replace(IMPORT, "from bela_module import Streamer")
                exec(compile(code, "cell", "exec"), scope)
                printed.append(capsys.readouterr().out.splitlines())
            assert board.watched_names() == []
        finally:
            scope["streamer"].disconnect()

    connecting, n_values, lengths, scheduling, on_buffer, on_block = printed
    assert connecting == n_values == scheduling == []

    assert lengths == [
        f"Variable: {name}, buffer length: 1024, number of streamed values: 1024"
        for name in ("pot1", "pot2")
    ]

    duration = scope["duration"]
    assert duration == 44100
    for name in ("pot1", "pot2"):
        buffers = load_buffers(tmp_path / f"{name}_var_stream.txt")
        assert buffers[0]["ref_timestamp"] == scope["start_timestamp"]
        assert sum(len(buffer["data"]) for buffer in buffers) == duration + 1

    # A run of two seconds is 43 blocks of 1024 ticks of each variable, and a part of one; a busy
    # machine makes it longer.
    check_buffers(on_buffer, "Buffer received")
    blocks = "\n".join(on_block).split("Block received\n")[1:]
    assert 35 <= len(blocks) <= 150
    for block in blocks:
        (first, first_tick), (second, second_tick) = map(str.split, block.splitlines())
        assert (first, second) == ("pot1", "pot2")
        assert first_tick == second_tick
    for name, values in scope["buffers"].items():
        assert sum(len(part) for part in values) >= 35 * 1024, name


def check_buffers(lines: list[str], heading: str) -> None:
    assert lines[::2] == [heading] * (len(lines) // 2)
    pairs = [re.fullmatch(r"(pot[12]) (\d+)", line) for line in lines[1::2]]
    assert all(pairs)
    ticks = {name: [int(p[2]) for p in pairs if p and p[1] == name] for name in ("pot1", "pot2")}
    assert ticks["pot1"] == ticks["pot2"]
    assert 35 <= len(ticks["pot1"]) <= 150
    steps = Counter(b - a for a, b in zip(ticks["pot1"], ticks["pot1"][1:], strict=False))
    assert set(steps) == {1024}
