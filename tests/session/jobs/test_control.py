"""What of the sketch can be changed from here: SET, RELEASE and SEND."""

from __future__ import annotations

import numpy as np
import pytest

from bela_module.errors import BoardError, RequestError
from bela_module.protocol.variables import ValueType
from bela_module.simulator.faults.timed_faults import OtherClient
from bela_module.simulator.network.board_connection import ClientChannel
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    answer,
    session_at,
    sketch_of,
)
from tests.support.signal_cases import TYPED

# ---- SET and RELEASE ---------------------------------------------------------------------------


def test_values_are_set_confirmed_marked_and_released(board: SimulatedBoard, one: Running) -> None:
    before_s = local_clock()
    values = {"ramp": 0.1, "whole": -5, "unsigned": 2**32 - 1, "short": 0.1, "touch": 7}
    said = one.set(**values)
    assert said == "set ramp=0.1, whole=-5, unsigned=4294967295, short=0.1, touch=7"
    expected = {**values, "short": float(np.float32(0.1))}
    assert board.controlled_values() == pytest.approx(expected, rel=1e-12)
    assert one.sink.events == [f"set {item}" for item in said.removeprefix("set ").split(", ")]
    assert all(before_s < lsl_s < local_clock() for _, lsl_s in one.sink.marks)
    assert one.session.status()["controlled"] == sorted(values)

    one.set(ramp=0.2)  # what is controlled already is just set
    assert board.controlled_values()["ramp"] == 0.2
    assert one.release("ramp", "touch") == "released ramp, touch"
    assert sorted(board.controlled_values()) == ["short", "unsigned", "whole"]
    assert one.release().startswith("released ")
    assert board.controlled_values() == {}
    assert one.release() == "nothing was controlled"
    assert one.session.status()["controlled"] == []


def test_what_is_controlled_streams_the_sketchs_own_values(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.set(ramp=3.0)
    one.start("ramp")
    wait_until(lambda: board.account("ramp").sent, "a block")
    one.stop()
    kept = one.sink["bela_ramp"]
    np.testing.assert_array_equal(kept.values, kept.ticks)
    assert board.controlled_values() == {"ramp": 3.0}  # STOP does not release


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("whole", 2**31, "it is int, which takes whole numbers from -2147483648 to 2147483647"),
        ("whole", 0.5, "whole = 0.5: it is int"),
        ("unsigned", -1, "from 0 to 4294967295"),
        ("byte", 1000, "byte = 1000"),
        ("short", 1e39, "a float holds up to"),
        ("nothing", 1, "no variable 'nothing'; it offers 'ramp'"),
    ],
)
def test_what_cannot_be_set_is_refused(
    name: str, value: float, words: str, board: SimulatedBoard, one: Running
) -> None:
    with pytest.raises(RequestError, match=words):
        one.set(**{"ramp": 1.0, name: value})
    assert board.controlled_values() == {}
    assert one.sink.events == []


def test_control_without_a_value_keeps_the_sketchs(board: SimulatedBoard, one: Running) -> None:
    assert answer(one.session.control(["byte"])) == "controlling byte"
    assert list(board.controlled_values()) == ["byte"]
    with pytest.raises(RequestError, match="no variable 'nothing'"):
        one.release("nothing")
    assert list(board.controlled_values()) == ["byte"]


# ---- SEND ------------------------------------------------------------------------------


class CutOff(SimulatedBoard):
    """A board behind a cable: while that is out, nothing gets through, either way."""

    out = False

    def receive_control(self, client: ClientChannel, text: str) -> None:
        if not self.out:
            super().receive_control(client, text)

    def pull(self, out: bool) -> None:
        self.out = out
        self.go_silent(out)


@pytest.mark.parametrize("closes", [False, True])
def test_what_could_not_be_released_is_released_later(closes: bool, wait_until: WaitUntil) -> None:
    with CutOff(sketch_of(*TYPED), clock=local_clock) as board:
        with session_at(board.port, board={"reply_timeout_s": 1.0}) as one:
            one.set(whole=1)
            board.pull(True)
            if closes:
                board.call_later(1.4, lambda: board.pull(False))
            else:
                with pytest.raises(BoardError):  # whether it still seems to be connected, or not
                    one.release()
                assert one.session.status()["controlled"] == ["whole"]
                board.pull(False)
                wait_until(lambda: one.session.status()["board"]["connected"], "a connection")
                assert one.release() == "released whole"
                assert one.session.status()["controlled"] == []
        assert board.controlled_values() == {}


def test_release_covers_what_a_killed_module_has_left(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    board.inject(OtherClient(cmd="control", variables="byte"))
    wait_until(lambda: "byte" in board.controlled_values(), "control")
    one.set(whole=1)
    assert one.release() == "released byte, whole"
    assert board.controlled_values() == {}


def test_control_that_another_client_ended_is_told_and_can_be_taken_again(
    board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    one.set(whole=1)
    board.inject(OtherClient(cmd="uncontrol", variables="whole"))
    wait_until(lambda: one.session.status()["controlled"] == [], "that it is known")
    wait_until(
        lambda: "error whole: no longer controlled; SET again" in one.sink.events, "the event"
    )
    one.set(whole=2)
    assert board.controlled_values() == {"whole": 2}
    one.release()


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("f", [0.5, -1.25]),
        ("d", [1e300, -0.25]),
        ("i", [-(2**31), 2**31 - 1]),
        ("j", [2**32 - 1]),
        ("c", [0, 127, 255, -1]),
    ],
)
def test_buffers_reach_the_sketch(
    code: str, data: list[float], board: SimulatedBoard, one: Running, wait_until: WaitUntil
) -> None:
    assert one.send(buffer_id=3, type=code, data=data) == (
        f"sent {len(data)} values to buffer 3; the board does not confirm them, "
        "nor that the sketch has such a buffer of this type"
    )
    wait_until(lambda: board.received_buffers, "a buffer")
    (buffer,) = board.received_buffers
    assert (buffer.buffer_id, buffer.value_type) == (3, ValueType(code))
    expected = [value % 256 for value in data] if code == "c" else data
    np.testing.assert_array_equal(buffer.values, expected)
