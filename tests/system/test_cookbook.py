"""The recipes of the cookbook, run one by one against simulated boards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import ROOT

COOKBOOK = ROOT / "docs" / "cookbook.md"
RECIPE = re.compile(r"^## (?P<title>.+?)$(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipes() -> dict[str, list[str]]:
    """Give the snippets of each recipe, by its title."""
    text = COOKBOOK.read_text("utf-8")
    return {match["title"]: SNIPPET.findall(match["text"]) for match in RECIPE.finditer(text)}


def test_the_contents_name_every_recipe() -> None:
    text = COOKBOOK.read_text("utf-8")
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", text, re.MULTILINE)
    assert [title for title, _ in listed] == list(recipes())
    for title, anchor in listed:
        assert anchor == re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Undo what a recipe does with signals."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(os.name == "nt", reason="there, a program cannot be asked to end")
def test_the_recipe_for_signals_leaves_the_board_clean(
    wait_until: Callable[..., None],
) -> None:
    (snippet,) = recipes()["End cleanly when the system ends the program"]
    with SimulatedBoard("potentiometers") as board:
        process = subprocess.Popen(
            [sys.executable, "-c", snippet.replace("wait(0.5)", "wait(60)")],
            env=os.environ | {"BELA_HOST": "127.0.0.1", "BELA_PORT": str(board.port)},
            cwd=COOKBOOK.parent.parent,
        )
        with process:
            wait_until(lambda: board.watched_names() == ["pot1"], "the stream")
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 1
        assert board.watched_names() == []


@pytest.mark.parametrize("title", [title for title, snippets in recipes().items() if snippets])
def test_recipe(
    title: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with SimulatedBoard("potentiometers") as board, SimulatedBoard("potentiometers") as other:
        monkeypatch.setenv("BELA_HOST", "127.0.0.1")
        monkeypatch.setenv("BELA_PORT", str(board.port))
        monkeypatch.setenv("OTHER_BELA_PORT", str(other.port))
        for snippet in recipes()[title]:
            exec(compile(snippet, f"{COOKBOOK.name}: {title}", "exec"), {"__name__": "recipe"})
        assert board.watched_names() == other.watched_names() == []
        assert board.controlled_values() == {}
        assert bool(board.received_buffers) is (title == "Send numbers to the sketch")
    said = capsys.readouterr().out
    assert "lost" not in said.replace("none lost", "")
    assert said or title in ("Begin and end at exact ticks", "Send numbers to the sketch")
