"""``bela_loop``: a row for each command, in the order that LSL wants."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.config import parse_settings
from bela_module.errors import StreamError
from bela_module.inputs.loop_account import LoopSample
from bela_module.session.board.board_state import BoardState
from bela_module.session.inputs.active_inputs import ActiveInputs
from bela_module.session.inputs.loop_stream import LoopStream, loop_outlet
from bela_module.session.notices import Notices
from tests.support.made_input import Made
from tests.support.session_helpers import Recorder


class ReadyBoard(BoardState):
    ready = True  # type: ignore[assignment]


def notices(sink: Recorder) -> Notices:
    return Notices(sink, lambda: 0.0, lambda _name, _text: None)


def test_each_command_is_a_row_and_stamps_never_go_back() -> None:
    sink = Recorder()
    stream = LoopStream("bela_loop", sink, ReadyBoard("bela"), notices(sink))
    stream.publish([LoopSample(1, 10.0, 0.001, 0.0002, 0.003)], 0, 0)
    stream.publish(
        [LoopSample(7, 9.5, 0.002, 0.0002, 0.004), LoopSample(8, 11.0, 0.002, 0.0002, 0.004)], 3, 1
    )
    stream.publish([], 3, 1)
    kept = sink["bela_loop"]
    assert kept.stamps_s.tolist() == [10.0, 10.0, 11.0]
    np.testing.assert_allclose(
        kept.rows,
        [
            [1, 0.001, 0.0002, 0.003, 0, 0],
            [7, 0.002, 0.0002, 0.004, 3, 1],
            [8, 0.002, 0.0002, 0.004, 3, 1],
        ],
    )


@pytest.mark.parametrize(("name", "board"), [("", ReadyBoard("b")), ("bela_loop", BoardState("b"))])
def test_without_a_name_or_a_known_board_there_is_none(name: str, board: BoardState) -> None:
    sink = Recorder()
    LoopStream(name, sink, board, notices(sink)).publish(
        [LoopSample(1, 10.0, 0.001, 0.0002, 0.003)], 0, 0
    )
    assert sink.kept == {}


def test_a_sink_that_takes_no_more_is_told_once() -> None:
    class Refusing(Recorder):
        def push(self, *_: object) -> None:
            raise StreamError("full")

    sink = Refusing()
    told = notices(sink)
    stream = LoopStream("bela_loop", sink, ReadyBoard("bela"), told)
    for number in (1, 2):
        stream.publish([LoopSample(number, 10.0, 0.001, 0.0002, 0.003)], 0, 0)
    assert told.recent == ["bela_loop: full"]


def test_it_is_opened_with_the_others_where_something_is_echoed() -> None:
    table = {"stream": "x", "buffer_id": 0}
    plain = parse_settings({"inputs": {"a": table}}, "test")
    echoing = parse_settings({"inputs": {"a": table | {"echo": "echo"}}}, "test")
    board, inputs = ReadyBoard("bela"), ActiveInputs()
    assert loop_outlet(plain, board, inputs) == {}
    assert list(loop_outlet(echoing, board, inputs)) == ["bela_loop"]
    assert loop_outlet(echoing, BoardState("bela"), inputs) == {}
    inputs.by_name["level"] = Made(echo="echo").one
    assert list(loop_outlet(plain, board, inputs)) == ["bela_loop"]
