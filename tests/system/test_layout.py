"""Layout of the checkout: a test file for each module, bounds on the size of files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT

WITHOUT_BEHAVIOUR = {"__init__", "version", "time_limits"}
MAX_LINES = 460
MAX_FILES = 17

PACKAGE = ROOT / "bela_module"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem not in WITHOUT_BEHAVIOUR)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_are_found() -> None:
    assert {"session", "bela_server", "data_channel"} <= {path.stem for path in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_every_module_has_a_test_file_in_the_same_folder(module: Path) -> None:
    folder = ROOT / "tests" / module.parent.relative_to(PACKAGE)
    stem = module.parent.name if module.stem == "__main__" else module.stem
    tests = folder / f"test_{stem}.py"
    assert tests.is_file(), f"{name(module)} has no {name(tests)}"
    assert "def test_" in tests.read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(text.splitlines()) <= MAX_LINES


def test_no_folder_has_too_many_files() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    sizes = {name(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {k: n for k, n in sizes.items() if n > MAX_FILES} == {}
