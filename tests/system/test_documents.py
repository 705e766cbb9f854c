"""Documents name files and packages that exist, and the CI runs the README's command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "docs/decisions", "benchmarks", "bela-code", "tests/captures")
    for path in (ROOT / folder).glob("*.md")
    if path.name != "CHANGELOG.md"
)
FOLDERS = ("api", "bela_module", "bela-code", "benchmarks", "configs", "docs", "tests", ".ci")
PATH = re.compile(rf"`((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_what_it_refers_to_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    missing += [path for path in LINK.findall(text) if not (document.parent / path).exists()]
    assert missing == []


def test_the_design_names_every_package() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    package = ROOT / "bela_module"
    folders = [path.parent.relative_to(package) for path in package.rglob("__init__.py")]
    named = [folder.as_posix() for folder in folders if folder.name]
    assert [folder for folder in named if f"`{folder}/`" not in text] == []


def test_the_readme_is_short() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250, "what does not fit belongs into docs/"


def test_the_ci_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (command,) = re.findall(r"^python3 -m venv .* -m pytest$", readme, re.MULTILINE)
    assert command in workflow


def test_what_a_shell_reads_has_its_line_ends_on_windows_too() -> None:
    rules = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert {"*.sh text eol=lf", ".ci/run text eol=lf"} <= set(rules)
    assert b"\r" not in (ROOT / ".ci" / "run").read_bytes()


def test_the_ci_tests_the_oldest_allowed_versions_and_the_newest_python() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "--resolution lowest-direct '.[test]'" in workflow
    assert 'python: ["3.11", "3.x"]' in workflow
