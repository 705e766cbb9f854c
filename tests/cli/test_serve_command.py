"""``serve`` is the server of ``python -m api.server`` under the name of the console command."""

from __future__ import annotations

import socket

import pytest

from bela_module.cli import serve_command


def test_a_port_in_use_ends_it_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve_command.main([f"--port={port}"]) == 1
    assert f"dp-bela: cannot serve at 127.0.0.1:{port}: " in capsys.readouterr().err


def test_wrong_arguments_name_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        serve_command.main(["--simulate=perhaps"])
    assert caught.value.code == 2
    assert "dp-bela serve: error: argument --simulate: " in capsys.readouterr().err
