"""Looking for a board: what is there, and what is there instead."""

from __future__ import annotations

import asyncio
import socket
import threading

from bela_module.checking.board_probe import probe_board
from bela_module.config import BoardSettings
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.session_helpers import left_on


def board_at(port: int, timeout_s: float = 10.0) -> BoardSettings:
    return BoardSettings(host="127.0.0.1", port=port, reply_timeout_s=timeout_s)


def test_a_board_tells_its_variables_and_stays_as_it_was() -> None:
    with SimulatedBoard("potentiometers") as board:
        facts = asyncio.run(probe_board(board_at(board.port)))
        assert left_on(board) == ([], {}, {})
    assert (facts.project, facts.declared_rate_hz, facts.error) == ("potentiometers", 44100.0, "")
    assert [variable.name for variable in facts.variables] == ["pot1", "pot2"]
    (attempt,) = facts.attempts
    assert (attempt.address, attempt.error) == ("127.0.0.1", "")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    facts = asyncio.run(probe_board(board_at(port)))
    (attempt,) = facts.attempts
    assert "refused" in attempt.error.lower()


def test_what_answers_instead_of_a_board_is_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(3):
                connection, _ = server.accept()
                with connection:
                    if connection.recv(1000):
                        connection.sendall(b"HTTP/1.0 404 File\x1b not found\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        facts = asyncio.run(probe_board(board_at(server.getsockname()[1])))
        answering.join()
    assert facts.error
    assert facts.http_status == "HTTP/1.0 404 File not found"
