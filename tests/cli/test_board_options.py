"""Options that choose a board: exclusive, and each leads to an address."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from bela_module.cli.board_options import (
    NETWORK_NAMES,
    add_board_options,
    settings_of,
    simulated_board,
)
from bela_module.errors import CaptureError, RequestError
from bela_module.simulator.network.delays import NETWORKS


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_board_options(parser)
    return parser.parse_args(arguments)


def test_the_boards_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--simulate", "--replay", "capture.jsonl")
    assert "not allowed with argument --simulate" in capsys.readouterr().err


def test_a_real_board_is_where_the_settings_say(tmp_path: Path) -> None:
    config = tmp_path / "bela.toml"
    config.write_text('[board]\nhost = "192.0.2.1"\nport = 81\n', encoding="utf-8")
    given = options("--config", str(config), "--board", "192.0.2.2")
    assert settings_of(given).board.url == "ws://192.0.2.2:81"
    with simulated_board(given) as simulated:
        assert simulated is None


def test_a_simulated_board_listens_until_the_end() -> None:
    with simulated_board(options("--simulate")) as simulated:
        assert simulated is not None
        assert simulated.replay is None
        address = simulated.start()
        socket.create_connection(address, timeout=20).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


def test_a_simulated_board_can_be_far_away() -> None:
    assert set(NETWORK_NAMES) == set(NETWORKS)
    given = options("--simulate", "--network", "loaded")
    with (
        mock.patch("bela_module.simulator.simulated_board.SimulatedBoard") as board,
        simulated_board(given),
    ):
        board.assert_called_once_with(network=NETWORKS["loaded"])


def test_no_other_board_is_delayed() -> None:
    with (
        pytest.raises(RequestError, match="--network delays a simulated board"),
        simulated_board(options("--network", "usb")),
    ):
        pytest.fail("there is nothing to delay")


def test_a_replayed_board_plays_the_capture(capture_path: Callable[[str], Path]) -> None:
    given = options("--replay", str(capture_path("potentiometers")))
    with simulated_board(given) as simulated:
        assert simulated is not None
        assert simulated.replay is not None
        assert "pot1" in simulated.replay.watched


def test_a_missing_capture_is_an_error() -> None:
    with (
        pytest.raises(CaptureError, match="cannot read the capture nowhere"),
        simulated_board(options("--replay", "nowhere.jsonl")),
    ):
        pytest.fail("there is nothing to replay")
