"""What becomes of commands while there is no board, or it comes and goes."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bela_module.errors import BelaError, ConnectError, RequestError
from bela_module.requests import StartRequest
from bela_module.simulator.faults.fault_list import parse_fault
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    TIMEOUT_S,
    Running,
    WaitUntil,
    answer,
    left_on,
    session_at,
    session_on,
    written_ticks,
)
from tests.support.stopwatch import Stopwatch


@pytest.fixture
def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def mute_board() -> Iterator[int]:
    """Accept connections and say nothing; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def close_s(one: Running) -> float:
    watch = Stopwatch()
    one.session.close(TIMEOUT_S)
    return watch.passed_s


# ---- before there is a board -------------------------------------------------------------------


def test_start_waits_for_the_board_and_then_streams(free_port: int, wait_until: WaitUntil) -> None:
    with session_at(free_port) as one:
        assert one.state == "idle"
        said = one.start("ramp_d", "ramp_i")
        assert said.startswith(
            f"waiting for the board: cannot connect to ws://127.0.0.1:{free_port}"
        )
        wait_until(lambda: one.state == "waiting", "state waiting")
        assert "cannot connect" in one.session.status()["last_error"]
        assert one.streams == {}
        with SimulatedBoard("ramps", port=free_port, clock=local_clock) as board:
            wait_until(lambda: board.account("ramp_d").sent, "a block")
            wait_until(lambda: one.state == "streaming", "state streaming")
            assert one.start("ramp_d", "ramp_i") == "already streaming"
            assert one.stop() == "stopped"
            np.testing.assert_array_equal(
                one.sink["bela_ramp_d"].ticks, written_ticks(board, "ramp_d")
            )
            one.session.close()
            assert left_on(board) == ([], {}, {})


def test_a_board_that_nobody_needs_goes_without_a_warning(
    wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    with SimulatedBoard("ramps", clock=local_clock) as board, session_at(board.port) as one:
        caplog.set_level(logging.INFO)
        wait_until(lambda: one.session.status()["board"]["connected"], "the board")
        board.close()
        wait_until(lambda: not one.session.status()["board"]["connected"], "the end")
        wait_until(lambda: "cannot connect" in caplog.text, "an attempt")
    told = [record for record in caplog.records if "cannot connect" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.INFO]


def test_a_schedule_waits_as_well(free_port: int, wait_until: WaitUntil) -> None:
    with session_at(free_port) as one:
        said = one.schedule(variables="ramp_d", start_in_s=3.0, duration_s=0.01)
        assert said.startswith("waiting for the board: ")
        with SimulatedBoard("ramps", port=free_port, clock=local_clock):
            wait_until(lambda: "schedule_finished" in one.sink.events, "the end", 30.0)
            assert one.sink["bela_ramp_d"].n_samples == 442


def test_a_wrong_name_is_told_when_the_board_has_come(
    free_port: int, wait_until: WaitUntil
) -> None:
    with session_at(free_port) as one:
        one.start("pot1")
        with SimulatedBoard("ramps", port=free_port, clock=local_clock):
            wait_until(lambda: any(e.startswith("error") for e in one.sink.events), "an error")
            wait_until(lambda: one.state == "idle", "state idle")
            assert one.sink.events == [f"error {one.session.status()['last_error']}"]
        assert "no variable 'pot1'; it offers 'ramp_d'" in one.sink.events[0]


def test_other_commands_do_not_wait(free_port: int) -> None:
    with session_at(free_port) as one:
        for command in (one.list, lambda: one.set(a=1), lambda: one.monitor(periods=9)):
            with pytest.raises(ConnectError, match=f"cannot connect to ws://127.0.0.1:{free_port}"):
                command()
        assert one.stop() == "nothing was running"


def test_a_board_that_connects_but_never_answers_is_waited_for(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps", clock=local_clock) as board:
        silenced = parse_fault("wrong-reply")  # every reply is cut short
        board.inject(silenced)
        with session_at(board.port, board={"reply_timeout_s": 0.3}) as one:
            said = one.start("ramp_d")
            assert said.startswith("waiting for the board: ")
            wait_until(lambda: one.state == "waiting", "state waiting")
            with pytest.raises(BelaError):
                answer(one.session.list_variables())
            board.end_faults()
            wait_until(lambda: one.samples("bela_ramp_d") > 0, "samples")


def test_stop_ends_the_waiting(free_port: int, wait_until: WaitUntil) -> None:
    with session_at(free_port) as one:
        one.start()
        wait_until(lambda: one.state == "waiting", "state waiting")
        assert one.stop() == "stopped waiting"
        wait_until(lambda: one.state == "idle", "state idle")
        assert one.stop() == "nothing was running"
        with SimulatedBoard("ramps", port=free_port) as board:
            assert one.list()["project"] == "ramps"
            assert left_on(board) == ([], {}, {})
        assert "started" not in one.sink.events


def test_stop_while_connecting(wait_until: WaitUntil) -> None:
    with mute_board() as port, session_at(port) as one:
        started = one.session.start(StartRequest())
        wait_until(lambda: one.state == "connecting", "state connecting")
        assert one.stop() == "stopped waiting"
        with pytest.raises(RequestError, match="stopped before it began"):
            answer(started)
        wait_until(lambda: one.state == "idle", "state idle")
        assert one.session.status()["board"]["connected"] is False


@pytest.mark.parametrize("started", [True, False])
def test_close_while_connecting(started: bool, wait_until: WaitUntil) -> None:
    with mute_board() as port, session_at(port) as one:
        start, ask = one.session.start, one.session.list_variables
        asked: Future[Any] = start(StartRequest()) if started else ask()
        wait_until(lambda: one.state == "connecting", "state connecting")
        assert close_s(one) < 3.0  # within 1 s, but for a machine that stalls
        with pytest.raises(RequestError, match="the session was closed"):
            asked.result(TIMEOUT_S)
        assert one.state == "idle"


def test_close_while_waiting(free_port: int, wait_until: WaitUntil) -> None:
    with session_at(free_port) as one:
        one.start()
        wait_until(lambda: one.state == "waiting", "state waiting")
        assert close_s(one) < 3.0
        with pytest.raises(BelaError, match="the session has ended"):
            one.start()


def test_too_many_commands_are_refused(wait_until: WaitUntil) -> None:
    with mute_board() as port, session_at(port) as one:
        asked = [one.session.list_variables() for _ in range(70)]
        wait_until(lambda: sum(future.done() for future in asked) == 6, "refused commands")
        refused = next(future for future in asked if future.done())
        with pytest.raises(RequestError, match="64 commands are waiting for the board already"):
            answer(refused)


# ---- while there is one ------------------------------------------------------------------------


def test_states_from_idle_to_idle(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, session_on(board) as one:
        assert one.state == "idle"
        assert board.n_clients == 0  # the board is not touched before something is asked
        one.start("ramp_d")
        wait_until(lambda: one.state == "streaming", "state streaming")
        assert one.session.status()["board"]["connected"]
        one.stop()
        wait_until(lambda: one.state == "idle", "state idle")


def test_commands_are_carried_out_in_their_order() -> None:
    with SimulatedBoard("ramps") as board, session_on(board) as one:
        one.list()  # from now on it is connected
        request = StartRequest(variables=("ramp_d",))
        futures = [
            one.session.start(request),
            one.session.stop(),
            one.session.start(request),
            one.session.start(request),
            one.session.stop(),
            one.session.stop(),
        ]
        assert [answer(future) for future in futures] == [
            "streaming bela_ramp_d",
            "stopped",
            "streaming bela_ramp_d",
            "already streaming",
            "stopped",
            "nothing was running",
        ]


def test_what_streams_is_looked_at_while_commands_come_without_end(wait_until: WaitUntil) -> None:
    over = threading.Event()

    def flood(one: Running) -> None:
        asked: deque[Future[Any]] = deque()
        while not over.is_set():
            asked.append(one.session.list_variables())
            if len(asked) > 20:
                asked.popleft().result(20)

    with SimulatedBoard("ramps") as board, session_on(board) as one:
        one.list()
        flooding = threading.Thread(target=flood, args=(one,))
        flooding.start()
        try:
            one.start("ramp_d")
            wait_until(lambda: one.session.status()["state"] == "streaming")
            one.stop()
            one.schedule(variables=("ramp_d",), start_in_s=0.1, duration_s=0.1)
            wait_until(lambda: one.session.status()["state"] == "idle")
        finally:
            over.set()
            flooding.join()


def test_commands_from_many_threads_are_all_answered() -> None:
    answers: list[str] = []

    def ask(one: Running, name: str) -> None:
        for number in range(5):
            answers.append(one.set(**{name: float(number)}))

    names = ("ramp_d", "ramp_f", "ramp_i", "ramp_j")
    with SimulatedBoard("ramps") as board, session_on(board) as one:
        threads = [threading.Thread(target=ask, args=(one, name)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert board.controlled_values() == dict.fromkeys(names, 4.0)
    assert sorted(answers) == sorted(f"set {name}={k}" for name in names for k in range(5))


def test_a_connection_that_ends_is_made_anew(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps", clock=local_clock) as board, session_on(board) as one:
        one.start("ramp_d")
        wait_until(lambda: board.account("ramp_d").sent, "a block")
        board.disconnect()
        wait_until(lambda: one.sink.events[-1] == "reconnected", "another connection")
        sent = board.account("ramp_d").sent
        wait_until(lambda: board.account("ramp_d").sent > sent + 1024, "blocks")
        one.stop()
        kept, stream = one.sink["bela_ramp_d"], one.streams["bela_ramp_d"]
        np.testing.assert_array_equal(kept.values, kept.ticks)
        assert np.all(np.diff(kept.ticks) > 0)
        span = kept.ticks[-1] - kept.ticks[0] + 1
        assert kept.n_samples + stream["lost"] == span
        assert one.session.status()["counters"]["reconnects"] == 1
        events = [event.split()[0] for event in one.sink.events]
        assert events == ["started", "disconnected", "reconnected", "gap", "stopped"]
