"""Without LSL's library a program ends with one line, and Python code gets one of our errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose pylsl fails as it does on Windows without Microsoft's runtime."""
    (tmp_path / "pylsl.py").write_text(
        "raise OSError('[WinError 126] The specified module could not be found')", encoding="utf-8"
    )
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["main.py", "--board", "127.0.0.1:9", "--port", "0"],
        ["-m", "api.server", "--board=127.0.0.1:9", "--port=0"],
    ],
)
def test_a_program_ends_with_one_line(arguments: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("dp-bela: a library cannot be loaded: [WinError 126] The specified mod")
    assert "Visual C++" in last


def test_an_import_raises_an_error_of_this_package(environment: dict[str, str]) -> None:
    script = """
from bela_module.errors import BelaError
try:
    from bela_module import Streamer
except ImportError as error:
    print(isinstance(error, BelaError), error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
    )
    assert done.stdout.startswith("True a library cannot be loaded: [WinError 126]")
