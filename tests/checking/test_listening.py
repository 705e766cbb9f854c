"""Listening to what others watch: complete, counted, and nothing told to the board."""

from __future__ import annotations

import asyncio
import threading
import time

from bela_module.checking.listening import BoardListener, listen
from bela_module.config import BoardSettings
from bela_module.protocol.control_commands import unwatch_command, watch_command
from bela_module.simulator.faults.message_faults import DropPair
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.raw_client import raw_client
from tests.support.session_helpers import WaitUntil


def hear(board: SimulatedBoard, seconds: float = 1.5) -> BoardListener:
    with raw_client(board.url) as other:
        variables = [v for v in other.list().variables if v.name in ("ramp_d", "ramp_sparse")]
        other.tell(watch_command(["ramp_d", "ramp_sparse"]))
        listener = BoardListener(
            BoardSettings(host="127.0.0.1", port=board.port, reply_timeout_s=10.0), variables
        )
        assert asyncio.run(listen(listener, seconds)) == ""
    return listener


def test_all_that_is_broadcast_is_followed(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps", clock=local_clock) as board:
        listener = hear(board)
        commands = [text for text in board.control_messages if "watch" in text]
    heard = {one.name: one for one in listener.heard}
    assert heard["ramp_d"].n_blocks > 10
    assert heard["ramp_d"].n_lost == heard["ramp_sparse"].n_lost == 0
    assert heard["ramp_sparse"].sparse
    assert len([text for text in commands if '"cmd":"watch"' in text.replace(" ", "")]) == 1
    assert len(listener.round_trips.taken_s) >= 2
    assert listener.round_trips.n_lost == 0
    assert "ramp_d" in listener.changed


def test_losses_are_counted() -> None:
    with SimulatedBoard("ramps", clock=local_clock) as board:
        board.inject(DropPair(p=0.3, variable="ramp_d"))
        listener = hear(board)
    heard = {one.name: one for one in listener.heard}
    assert heard["ramp_d"].n_lost > 0
    assert heard["ramp_d"].n_lost % 512 == 0


def test_a_board_that_is_gone_is_told() -> None:
    with SimulatedBoard("ramps") as board:
        port = board.port
    listener = BoardListener(BoardSettings(host="127.0.0.1", port=port, reply_timeout_s=1.0), ())
    assert "ws://127.0.0.1" in asyncio.run(listen(listener, 1.0))


def test_what_others_end_and_begin_again_is_no_loss() -> None:
    with SimulatedBoard("ramps", clock=local_clock) as board, raw_client(board.url) as other:
        variables = [v for v in other.list().variables if v.name == "ramp_d"]
        other.tell(watch_command(["ramp_d"]))
        settings = BoardSettings(host="127.0.0.1", port=board.port, reply_timeout_s=10.0)
        listener = BoardListener(settings, ())
        listener.follow(variables)  # begun since
        listening = threading.Thread(target=lambda: asyncio.run(listen(listener, 3.0)))
        listening.start()
        time.sleep(1.0)
        other.tell(unwatch_command(["ramp_d"]))
        time.sleep(1.0)
        other.tell(watch_command(["ramp_d"]))
        listening.join()
    (heard,) = listener.heard
    assert heard.n_blocks > 10
    assert heard.n_lost == 0
