"""The installed command ``dp-bela`` and Ctrl-C, at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bela_module.cli.console import console_main
from tests.support.paths import ROOT
from tests.support.server_helpers import default_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def test_it_leaves_ctrl_c_to_the_system(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["dp-bela", "nonsense"])
    with default_signals():
        assert console_main() == 2
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert "unknown command 'nonsense'" in capsys.readouterr().err


def test_ctrl_c_during_the_imports_ends_it_without_a_word(tmp_path: Path) -> None:
    slow = "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
    (tmp_path / "argparse.py").write_text(slow, encoding="utf-8")
    script = "from bela_module.cli.console import console_main; raise SystemExit(console_main())"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == -signal.SIGINT
