"""The sketches of ``bela-code/``, compiled and run against small headers in place of Bela's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SKETCHES = sorted(path.parent.name for path in ROOT.glob("bela-code/*/render.cpp"))
STUBS = ROOT / "tests" / "bela_stubs"
COMPILER = shutil.which("g++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no g++")

Assignments = dict[str, list[tuple[str, str, int, float]]]
"""Of each variable: type, mode, tick and value of each assignment."""


def compiled(sketch: str, folder: Path) -> Path:
    program = folder / sketch
    sources = [str(ROOT / "bela-code" / sketch / "render.cpp"), str(STUBS / "run_sketch.cpp")]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
    command = [str(COMPILER), "-std=c++14", *warnings, f"-I{STUBS}", *sources, "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=50)
    return program


def run(program: Path, n_blocks: int, analog_channels: int = 8) -> Assignments:
    arguments = [str(program), str(n_blocks), str(analog_channels)]
    lines = subprocess.run(
        arguments, check=True, capture_output=True, text=True, timeout=50
    ).stdout.splitlines()
    assert lines[0] == "rate 44100"
    found: Assignments = {}
    for line in lines[1:]:
        name, letter, mode, tick, value = line.split()
        found.setdefault(name, []).append((letter, mode, int(tick), float(value)))
    return found


def test_each_sketch_has_a_page_and_is_listed() -> None:
    listed = (ROOT / "bela-code" / "README.md").read_text("utf-8")
    assert len(SKETCHES) >= 5
    for sketch in SKETCHES:
        page = (ROOT / "bela-code" / sketch / "README.md").read_text("utf-8")
        assert page.startswith(f"# {sketch}\n")
        assert f"({sketch}/README.md)" in listed


def sensors_are_assigned_together(program: Path) -> None:
    found = run(program, 30)
    assert list(found) == [f"sensor{k}" for k in range(1, 9)]
    ticks = [[tick for _, _, tick, _ in assignments] for assignments in found.values()]
    assert ticks == [list(range(0, 480, 2))] * 8
    assert found["sensor3"][-1] == ("f", "dense", 478, pytest.approx(0.52))
    with pytest.raises(subprocess.CalledProcessError):  # which says to choose eight channels
        run(program, 1, analog_channels=4)


def a_touch_is_two_events_and_its_peak(program: Path) -> None:
    found = run(program, 400)
    assert found["touch"] == [("i", "sparse", 320, 1.0), ("i", "sparse", 2880, 0.0)]
    assert found["peak"] == [("f", "sparse", 2880, 0.5)]


def the_truth_is_a_counter_and_numbered_pulses(program: Path) -> None:
    n_frames = 16 * 3000
    found = run(program, n_frames // 16)
    assert [(tick, value) for _, _, tick, value in found["counter"]] == [
        (frame, frame) for frame in range(n_frames)
    ]
    assert found["pulse"] == [("j", "sparse", 0, 1.0), ("j", "sparse", 44_100, 2.0)]
    on = [tick for _, _, tick, value in found["sync"] if value]
    assert on == [*range(441), *range(44_100, 44_541)]


def each_command_is_echoed_at_the_last_frame_of_its_block(program: Path) -> None:
    found = run(program, 100)
    assert found["echo"] == [("i", "sparse", 160 * n + 15, float(n)) for n in range(1, 6)]
    level = [value for _, _, _, value in found["level"]]
    assert len(level) == 1600
    assert level[159:161] == [0, pytest.approx(0.01)]
    assert level[-1] == pytest.approx(0.05)


CHECKS: dict[str, Callable[[Path], None]] = {
    "sensors": sensors_are_assigned_together,
    "sparse-events": a_touch_is_two_events_and_its_peak,
    "truth": the_truth_is_a_counter_and_numbered_pulses,
    "closed-loop": each_command_is_echoed_at_the_last_frame_of_its_block,
}


def test_each_check_is_of_a_sketch() -> None:
    assert set(CHECKS) <= set(SKETCHES)


@needs_compiler
@pytest.mark.parametrize("sketch", SKETCHES)
def test_it_compiles_and_assigns_what_its_page_says(sketch: str, tmp_path: Path) -> None:
    program = compiled(sketch, tmp_path)
    for assignments in run(program, 300).values():
        ticks = [tick for _, _, tick, _ in assignments]
        assert ticks == sorted(ticks)
        dense = assignments[0][1] == "dense"
        assert not dense or len({b - a for a, b in zip(ticks, ticks[1:], strict=False)}) == 1
    CHECKS.get(sketch, lambda _program: None)(program)
