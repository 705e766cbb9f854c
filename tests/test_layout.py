"""The house is in order: every module has its tests, and every file one size to be read in."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WITHOUT_BEHAVIOUR = {"__init__", "version"}
MAX_LINES = 650

MODULES = sorted(
    path
    for folder in ("bela_module", "api")
    for path in (ROOT / folder).glob("*.py")
    if path.stem not in WITHOUT_BEHAVIOUR
)


def test_modules_are_found() -> None:
    assert {"streaming", "server"} <= {path.stem for path in MODULES}


@pytest.mark.parametrize("module", [*MODULES, ROOT / "main.py"], ids=lambda path: path.stem)
def test_every_module_has_a_test_file_of_its_name(module: Path) -> None:
    tests = ROOT / "tests" / f"test_{module.stem}.py"
    assert tests.is_file(), f"{module.relative_to(ROOT)} has no {tests.relative_to(ROOT)}"
    assert "def test_" in tests.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(text.splitlines()) <= MAX_LINES
