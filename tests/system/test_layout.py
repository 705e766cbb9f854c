"""Layout of the checkout: a test file for each module, bounds on sizes, names used once."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.paths import ROOT

WITHOUT_BEHAVIOUR = {"__init__", "time_limits", "version"}
MAX_LINES = 430
MAX_FILES = 17

PACKAGE = ROOT / "bela_module"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem not in WITHOUT_BEHAVIOUR)
SOURCES = sorted(
    path
    for folder in ("bela_module", "api", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_modules_are_found() -> None:
    assert {"session", "bela_server", "data_channel"} <= {path.stem for path in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_every_module_has_a_test_file_in_the_same_folder(module: Path) -> None:
    folder = ROOT / "tests" / module.parent.relative_to(PACKAGE)
    stem = module.parent.name if module.stem == "__main__" else module.stem
    tests = folder / f"test_{stem}.py"
    assert tests.is_file(), f"{name(module)} has no {name(tests)}"
    assert "def test_" in tests.read_text(encoding="utf-8")


def test_every_module_says_what_it_is_for() -> None:
    assert [name(path) for path in MODULES if not lines_of(path)[0].startswith('"""')] == []


def test_no_file_is_too_long() -> None:
    sizes = {name(path): len(lines_of(path)) for path in SOURCES}
    assert {path: n for path, n in sizes.items() if n > MAX_LINES} == {}


def test_no_folder_has_too_many_files() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    sizes = {name(folder): len(list(folder.glob("*.py"))) for folder in folders}
    assert {k: n for k, n in sizes.items() if n > MAX_FILES} == {}


def test_type_names_are_unique() -> None:
    defined = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(name(path))
    assert {k: paths for k, paths in defined.items() if len(paths) > 1} == {}
