"""Inputs by command and by configuration: what is refused, what ends them, what is told."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bela_module.errors import RequestError, UnknownVariableError
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.input_helpers import Decoder, driven, input_status
from tests.support.session_helpers import (
    Running,
    WaitUntil,
    board_of,
    session_at,
    session_on,
    variable,
)


def loop_board(**options: Any) -> SimulatedBoard:
    return SimulatedBoard("closed-loop", clock=local_clock, **options)


def configured(unique: str, **fields: Any) -> dict[str, Any]:
    table = {"stream": f"{unique}decoder", "buffer_id": 0, "channels": 0, **fields}
    return {"inputs": {"level": table}}


def states(one: Running) -> dict[str, str]:
    return {found["name"]: found["state"] for found in one.session.status()["inputs"]}


def test_requests_that_make_no_sense_are_refused(unique: str, wait_until: WaitUntil) -> None:
    with loop_board() as board, session_on(board, **configured(unique)) as one:
        one.list()
        with pytest.raises(RequestError, match="no input 'other' in the configuration; there are"):
            one.connect_input(name="other")
        with pytest.raises(UnknownVariableError, match="'gain'"):
            one.connect_input(name="x", stream="y", variables="gain")
        with pytest.raises(RequestError, match="stream is required with buffer_id"):
            one.connect_input(name="x", buffer_id=0)
        with pytest.raises(RequestError, match="no input 'x' is connected; there are none"):
            one.disconnect_input(name="x")
        assert one.disconnect_input() == "no input was connected"
        assert "looks for the stream" in one.connect_input(name="level")
        assert one.connect_input(name="level") == "input level is connected already"
        with pytest.raises(RequestError, match="connected otherwise; DISCONNECT_INPUT first"):
            one.connect_input(name="level", stream="y", buffer_id=0)
        with pytest.raises(RequestError, match="input level drives buffer 0 already"):
            one.connect_input(name="x", stream="y", buffer_id=0)
        one.connect_input(name="echoed", stream="y", buffer_id=1, echo="echo")
        with pytest.raises(RequestError, match="input echoed has the echo 'echo' already"):
            one.connect_input(name="x", stream="y", buffer_id=2, echo="echo")
        one.disconnect_input(name="echoed")
        wait_until(lambda: states(one) == {"level": "searching"}, "state")
        (problem,) = one.session.status()["problems"]
        assert problem == f"input level: no stream '{unique}decoder' is there yet"
        assert one.disconnect_input() == "disconnected level"
        wait_until(lambda: states(one) == {}, "end")


def test_after_stop_an_input_is_connected_again_by_its_name_alone(
    unique: str, wait_until: WaitUntil
) -> None:
    with loop_board() as board, session_on(board) as one:
        one.connect_input(name="x", stream=f"{unique}y", buffer_id=3, limits=[0, 1])
        one.start("level")
        one.stop()
        wait_until(lambda: states(one) == {"x": "stopped"}, "end")
        assert "looks for the stream" in one.connect_input(name="x")
        wait_until(lambda: states(one) == {"x": "searching"}, "state")
        assert input_status(one, "x")["destination"] == "buffer 3"
        with pytest.raises(RequestError, match="no input 'z' in the configuration; there is none"):
            one.connect_input(name="z")


def test_those_of_the_configuration_act_from_start_to_stop(
    unique: str, wait_until: WaitUntil
) -> None:
    fields = {"on_end": "default", "default": 0.125, "echo": "echo"}
    with (
        loop_board() as board,
        session_on(board, **configured(unique, **fields)) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        assert states(one) == {}
        one.start("level")
        decoder.await_inlet(one)
        decoder.push(0.5, 0)
        wait_until(lambda: len(board.received_buffers) == 1, "buffer")
        one.stop()
        wait_until(lambda: len(board.received_buffers) == 2, "default")
        first, last = board.received_buffers
        assert first.values[1] == 0.5
        assert last.values[1] == 0.125
        assert last.values[0] == first.values[0] + 1
        wait_until(lambda: states(one) == {"level": "stopped"}, "stopped")
        decoder.push(0.75, 0)
        one.start("level")
        decoder.await_inlet(one)
        decoder.push(0.25, 0)
        wait_until(lambda: len(board.received_buffers) == 3, "buffer")
        assert board.received_buffers[-1].values[1] == 0.25


def test_a_default_is_sent_when_the_module_ends(unique: str, wait_until: WaitUntil) -> None:
    fields = {"on_end": "default", "default": 0.125}
    with loop_board() as board, Decoder(f"{unique}decoder") as decoder:
        with session_on(board, **configured(unique, **fields)) as one:
            one.list()
            one.connect_input(name="level")
            decoder.await_inlet(one)
            decoder.push(0.5, 0)
            wait_until(lambda: len(board.received_buffers) == 1, "buffer")
        assert [float(b.values[0]) for b in board.received_buffers] == [0.5, 0.125]


def test_a_stream_that_ends_and_comes_back(unique: str, wait_until: WaitUntil) -> None:
    fields = {"on_end": "default", "default": 0.125}
    with (
        loop_board() as board,
        session_on(board, **configured(unique, **fields)) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.list()
        one.connect_input(name="level")
        decoder.await_inlet(one)
        decoder.push(0.5, 0)
        wait_until(lambda: len(board.received_buffers) == 1, "buffer")
        decoder.end()
        wait_until(lambda: len(board.received_buffers) == 2, "default")
        wait_until(lambda: input_status(one)["state"] == "searching", "end")
        assert "the default [0.125] is sent; it goes on when" in one.session.status()["problems"][0]
        decoder.begin()
        decoder.await_inlet(one)
        decoder.push(0.75, 0)
        wait_until(lambda: len(board.received_buffers) == 3, "buffer")
        assert [float(b.values[0]) for b in board.received_buffers] == [0.5, 0.125, 0.75]
        wait_until(lambda: one.session.status()["problems"] == [], "no problem")


def test_a_stream_of_too_few_channels_is_told_and_taken_once_it_is_right(
    unique: str, wait_until: WaitUntil
) -> None:
    name = f"{unique}decoder"
    with loop_board() as board, session_on(board) as one:
        one.list()
        one.connect_input(name="level", stream=name, buffer_id=0, channels=[3])
        with Decoder(name):
            wait_until(lambda: states(one) == {"level": "refused"}, "refusal")
            (problem,) = one.session.status()["problems"]
            assert "cannot be used: channels = 3: the stream has 2 channels" in problem
        with Decoder(name, channels=4) as decoder:
            decoder.await_inlet(one)
            decoder.push(0, 0, 0, 0.5)
            wait_until(lambda: len(board.received_buffers) == 1, "buffer")


def test_release_and_the_next_sample_takes_control_again(
    unique: str, wait_until: WaitUntil
) -> None:
    fields = {"variables": "a", "channels": 0, "on_nan": "release", "on_end": "release"}
    with (
        board_of(variable("a")) as board,
        session_on(board) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.list()
        one.connect_input(name="level", stream=decoder.name, **fields)
        decoder.await_inlet(one)
        for value in (0.5, 0.75):
            decoder.push(value, 0)
            wait_until(lambda v=value: board.controlled_values() == {"a": v}, "value")
            decoder.push(float("nan"), 0)
            wait_until(lambda: board.controlled_values() == {}, "release")
        decoder.push(0.25, 0)
        wait_until(lambda: board.controlled_values() == {"a": 0.25}, "value")
        one.disconnect_input(name="level")
        wait_until(lambda: board.controlled_values() == {}, "release")
        wait_until(lambda: one.session.status()["controlled"] == [], "confirmed")
        assert one.session.status()["last_error"] is None


def test_a_sketch_that_lacks_what_is_driven_ends_the_input(
    unique: str, wait_until: WaitUntil
) -> None:
    with driven(unique, wait_until) as (board, one, _):
        board.restart("empty")
        wait_until(lambda: states(one) == {"level": "stopped"}, "end")
        assert any(
            "input level: the board has no variable 'a'" in text
            for text in one.session.status()["notices"]
        )


def test_another_sketch_gets_no_default_of_what_it_lacks(
    unique: str, wait_until: WaitUntil
) -> None:
    tables = configured(unique, echo="echo", on_end="default", default=0.25)
    with (
        loop_board() as board,
        session_at(board.port, **tables) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.start("level")
        decoder.await_inlet(one)
        decoder.push(0.5, 0)
        wait_until(lambda: input_status(one)["sent"] == 1, "command")
        board.restart("gain")
        wait_until(lambda: states(one) == {"level": "stopped"}, "end")
        notices = "; ".join(one.session.status()["notices"])
        assert "the sketch lacks what it drives; nothing more is sent" in notices
        assert input_status(one)["sent"] == 1
        time.sleep(0.3)
        assert len(board.received_buffers) == 1


def test_each_command_is_measured_while_its_echo_streams(
    unique: str, wait_until: WaitUntil
) -> None:
    with (
        loop_board() as board,
        session_at(board.port, **configured(unique, echo="echo")) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.start("echo")
        decoder.await_inlet(one)
        stamps_s: list[float] = []
        for k in range(20):
            stamps_s.append(decoder.push(k / 20, 0))
            wait_until(lambda n=k: one.samples("bela_loop") == n + 1, "echo")
        wait_until(lambda: input_status(one)["loop"]["echoed"] == 20, "counts")
        loop = input_status(one)["loop"]
        assert (loop["sent"], loop["echoed"]) == (20, 20)
        assert (loop["superseded"], loop["lost"], loop["doubled"], loop["foreign"]) == (0,) * 4
        rows, effects_s = one.sink["bela_loop"].rows, one.sink["bela_loop"].stamps_s
        true_s = board.true_time_s(one.sink["bela_echo"].ticks)
        one_way_s, uncertainty_s, round_trip_s = rows[:, 1], rows[:, 2], rows[:, 3]
        assert (abs(effects_s - true_s) <= uncertainty_s + 1e-4).all()
        assert (abs(one_way_s - (true_s - stamps_s)) <= uncertainty_s + 1e-4).all()
        assert (round_trip_s > one_way_s - uncertainty_s).all()
        assert loop["one_way_s"]["p50"] <= loop["one_way_s"]["max"]


def test_mistakes_of_the_measurement_are_problems(unique: str, wait_until: WaitUntil) -> None:
    tables = configured(unique, echo="echo")
    with (
        loop_board() as board,
        session_at(board.port, **tables) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.start("level")
        decoder.await_inlet(one)
        decoder.push_at(1.0e9, 0.5, 0)

        def problems() -> str:
            return "; ".join(one.session.status()["problems"])

        wait_until(lambda: "'echo' does not stream" in problems(), "problem of the echo")
        wait_until(lambda: "s ahead of LSL's clock" in problems(), "problem of the stamps")
        decoder.push(0.5, 0)
        wait_until(lambda: "stamps" not in problems(), "right stamps")
        one.stop()
        one.start("level", "echo")
        decoder.await_inlet(one)
        wait_until(lambda: problems() == "", "no problem")


@pytest.mark.parametrize(
    ("buffer_id", "prompt", "is_told"), [(3, "auto", True), (0, "auto", False), (0, "off", False)]
)
def test_commands_that_never_come_back_are_told_unless_the_board_keeps_them(
    buffer_id: int,
    prompt: str,
    is_told: bool,
    unique: str,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bela_module.session.sending.input_service.ECHO_S", 1.0)
    tables = configured(unique, echo="echo", buffer_id=buffer_id)
    with (
        loop_board() as board,
        session_at(board.port, **tables, streaming={"prompt": prompt}) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.start("level", "echo")
        decoder.await_inlet(one)

        def loop_counts() -> dict[str, int]:
            counts: dict[str, int] = input_status(one)["loop"]
            return counts

        def is_over() -> bool:
            decoder.push(0.5, 0)
            time.sleep(0.05)
            counts = loop_counts()
            return counts["echoed"] > 20 or counts["unmeasured"] > 20

        wait_until(is_over, "echoes, or their time")
        time.sleep(0.5)
        problems = one.session.status()["problems"]
        assert any("none of its commands comes back" in text for text in problems) == is_told


def test_commands_around_a_reconnect_are_told_or_took_effect_once(
    unique: str, wait_until: WaitUntil
) -> None:
    with (
        loop_board(delay_s=0.02) as board,
        session_at(board.port, **configured(unique, echo="echo")) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.start("echo")
        decoder.await_inlet(one)
        decoder.push(0.5, 0)
        wait_until(lambda: input_status(one)["loop"]["echoed"] == 1, "echo")
        for k in range(12):
            decoder.push(k / 20, 0)
            time.sleep(0.003)
            if k == 8:
                board.disconnect()
        wait_until(lambda: one.session.status()["counters"]["reconnects"] == 1, "reconnected")

        def echoes_again() -> bool:
            decoder.push(0.25, 0)
            time.sleep(0.1)
            return bool(input_status(one)["loop"]["echoed"] > 1)

        wait_until(echoes_again, "echoes again")
        wait_until(lambda: input_status(one)["loop"]["outstanding"] == 0, "the last echo")
        one.stop()
        loop = input_status(one)["loop"]
        ended = ("echoed", "superseded", "lost", "unmeasured", "outstanding")
        assert loop["sent"] == sum(loop[key] for key in ended)
        assert loop["lost"] > 0
        assert loop["doubled"] == 0
        words = f"{loop['lost']} commands lost (input level)"
        wait_until(lambda: words in one.session.status()["notices"], "told")
        numbers = [int(buffer.values[0]) for buffer in board.received_buffers]
        assert len(set(numbers)) == len(numbers)
        assert set(one.sink["bela_echo"].values.tolist()) <= set(numbers)


def test_the_numbers_of_two_modules_do_not_meet(unique: str) -> None:
    firsts = []
    for _ in range(2):
        with loop_board() as board, session_on(board, **configured(unique, echo="echo")) as one:
            one.connect_input(name="level")
            service = one.session._driver.inputs
            firsts.append(service._runtime.inputs.by_name["level"]._number)
    assert firsts[0] != firsts[1]
    assert all(1 <= first <= 2**24 for first in firsts)


def test_what_does_not_reach_the_board_at_the_end_is_told(
    unique: str, wait_until: WaitUntil
) -> None:
    fields = {"on_end": "default", "default": 0.125}
    with loop_board() as board, Decoder(f"{unique}decoder") as decoder:
        with session_at(board.port, **configured(unique, **fields)) as one:
            one.list()
            one.connect_input(name="level")
            decoder.await_inlet(one)
            decoder.push(0.5, 0)
            wait_until(lambda: len(board.received_buffers) == 1, "buffer")
            board.refuse_connections(True)
            board.disconnect()
            wait_until(lambda: not one.session.status()["board"]["connected"], "disconnected")
        error = one.session.status()["last_error"]
        assert error == ("input level: what is configured for its end did not reach the board")
        assert len(board.received_buffers) == 1


def test_a_predicate_that_lsl_cannot_read_is_refused_at_once() -> None:
    with loop_board() as board, session_on(board) as one:
        one.list()
        with pytest.raises(RequestError, match="LSL cannot look for"):
            one.connect_input(name="x", stream={"predicate": "name='a' or (("}, buffer_id=0)
        assert states(one) == {}


def test_an_input_keeps_its_number_in_the_stream_of_loops(
    unique: str, wait_until: WaitUntil
) -> None:
    with (
        loop_board() as board,
        session_at(board.port) as one,
        Decoder(f"{unique}decoder") as decoder,
    ):
        one.start("echo")
        fields = {"stream": decoder.name, "buffer_id": 0, "channels": 0, "echo": "echo"}
        one.connect_input(name="other", stream=f"{unique}none", buffer_id=5)
        one.connect_input(name="level", **fields)
        decoder.await_inlet(one)
        for n_echoes in (1, 2, 3):
            decoder.push(n_echoes / 8, 0)
            wait_until(lambda n=n_echoes: one.samples("bela_loop") == n, "echo")
            if n_echoes == 1:
                one.disconnect_input(name="other")
            elif n_echoes == 2:
                one.disconnect_input(name="level")
                one.connect_input(name="level", **fields)
                decoder.await_inlet(one)
        assert one.sink["bela_loop"].rows[:, 5].tolist() == [1, 1, 1]
        assert input_status(one)["loop"]["input"] == 1
