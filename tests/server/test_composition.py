"""The composition root: what is opened when, and closed in which order."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from bela_module.connection.capture_file import read_capture
from bela_module.errors import BelaError, CaptureError
from bela_module.server.composition import compose_module
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.paths import ROOT
from tests.support.server_helpers import settings_with
from tests.support.session_helpers import left_on

HEAVY = {"numpy", "pylsl", "websockets", "bela_module.session.session"}


def test_nothing_heavy_is_imported_before_the_server_listens() -> None:
    program = (
        "import sys\n"
        "from bela_module.config import Settings, with_overrides\n"
        "from bela_module.server.composition import compose_module\n"
        "import bela_module.server.launch\n"
        "with compose_module(with_overrides(Settings(), server={'port': 0})) as server:\n"
        "    server.init_server()\n"
        f"    sys.exit(str({HEAVY!r} & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.stderr.splitlines()[-1] == "set()"


def test_a_simulated_board_takes_the_place_of_the_configured_one(tmp_path: Path) -> None:
    handlers = logging.getLogger("bela_module").handlers[:]
    capture = tmp_path / "wire.jsonl"
    with SimulatedBoard() as board:
        with compose_module(
            settings_with(board={"host": "192.0.2.1"}),
            start_simulation=lambda: ("127.0.0.1", board.port),
            wire_capture=capture,
            log_to_console=False,
        ) as server:
            session = server.open_session()
            assert server.open_session() is session
            assert gc.get_freeze_count() > 0  # full collections leave out what is loaded
            assert session.status()["board"]["url"] == f"ws://127.0.0.1:{board.port}"
            listing = session.list_variables().result(20)
            assert listing["project"] == "simulation"
        with pytest.raises(BelaError, match="the session has ended"):
            session.list_variables().result(20)
        assert left_on(board) == ([], {}, {})
    assert gc.get_freeze_count() == 0
    assert {message.channel for message in read_capture(capture)} == {"control"}
    assert logging.getLogger("bela_module").handlers == handlers


def test_a_capture_that_cannot_be_written_is_an_error() -> None:
    with (
        compose_module(
            settings_with(), wire_capture=ROOT / "README.md", log_to_console=False
        ) as server,
        pytest.raises(CaptureError, match="cannot create the capture"),
    ):
        server.open_session()
