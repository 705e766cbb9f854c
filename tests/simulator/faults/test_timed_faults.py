"""Timed faults do to a board, its clock and its connections what their names say, on the wire."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException

from bela_module.protocol.control_commands import (
    CONNECTION_REPLY,
    encode_commands,
    list_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol.data_channel import Block
from bela_module.simulator.faults.fault_list import Fault
from bela_module.simulator.faults.timed_faults import (
    Disconnect,
    Drift,
    LateBurst,
    NoData,
    OtherClient,
    Pause,
    Refuse,
    Restart,
    Silence,
    Slow,
    Stall,
    StepClock,
    Unassigned,
    Underrun,
)
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import RawClient, open_channel, raw_client

WaitUntil = Callable[..., None]

LONG_S = 500.0
A_WHILE_S = 2.0
LOOK_S = 0.05


def moves(value: Callable[[], object]) -> bool:
    """Whether something changes while one looks; here a tick takes 0.02 ms."""
    before = value()
    time.sleep(LOOK_S)
    return value() != before


def listed_value(client: RawClient, name: str) -> float:
    return next(v.value_input for v in client.list().variables if v.name == name)


def blocks_to_the_end(board: SimulatedBoard, client: RawClient, name: str) -> list[Block]:
    """Unwatch, and give the blocks of a variable until all that the board sent have come."""
    client.tell(unwatch_command([v.name for v in board.sketch.variables]))
    while board.watched_names():
        client.list()
    client.tell({"cmd": "monitor", "watchers": [name], "periods": [1]})
    blocks = [client.block()]
    while not blocks[-1].monitor:
        blocks.append(client.block())
    return [block for block in blocks[:-1] if block.variable.name == name]


# ---- the connections -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Disconnect(), Disconnect(clean=True), Refuse(), Restart()])
def test_connections_end(fault: Fault) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(fault)
        with pytest.raises(ConnectionClosed):
            client.control.recv(timeout=20)


@pytest.mark.parametrize("clean", [False, True])
def test_the_data_connection_alone_can_end(clean: bool) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(Disconnect(clean=clean, socket="data"))
        with pytest.raises(ConnectionClosed) as ended:
            client.data.recv(timeout=20)
        assert (ended.value.rcvd is not None) is clean
        assert client.list().variables
        assert board.wants_data


def test_the_control_connection_alone_can_end(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(Disconnect(socket="control"))
        with pytest.raises(ConnectionClosed):
            client.control.recv(timeout=20)
        wait_until(lambda: board.n_clients == 1)
        assert client.data.ping().wait(20)
        assert not board.wants_data


def test_refusing_and_being_silent_end_again(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        for fault in (Refuse(for_s=0.3), Silence(for_s=0.3), Restart(down_s=0.3)):
            board.inject(fault)

            def reached() -> bool:
                try:
                    with open_channel(board.url, "control", open_timeout=0.2):
                        return True
                except (OSError, WebSocketException):
                    return False

            wait_until(lambda: not reached(), f"{fault.name} begins")
            wait_until(reached, f"{fault.name} ends")


def test_the_data_connection_alone_can_fall_silent(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(Silence(for_s=A_WHILE_S, socket="data"))
        wait_until(lambda: board.silent)
        client.tell(watch_command(["ramp_d"]))
        with pytest.raises(TimeoutError):
            open_channel(board.url, "data", open_timeout=0.2)
        assert client.list().variables
        assert board.account("ramp_d").sent > 0
        block = client.block()
        assert block.tick > board.written("ramp_d")[0].first_tick


def test_the_control_connection_alone_can_fall_silent(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d"]))
        client.block()
        board.inject(Silence(for_s=LONG_S, socket="control"))
        wait_until(lambda: board.silent)
        before_tick = board.tick_now()
        client.tell(list_command())
        while client.block().tick <= before_tick:
            pass
        with pytest.raises(TimeoutError):
            client.control.recv(timeout=0.1)
        assert '"list"' not in board.control_messages[-1]


def test_a_stall_and_slowness_hold_messages_back() -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(Slow(to_client_s=0.1, jitter_s=0.001), Stall(for_s=0.2))
        board.inject_command('{"watcher":[{"cmd":"list"}]}')
        began_s = time.monotonic()
        assert client.list().variables
        assert client.list().variables
        assert time.monotonic() - began_s >= 0.09


# ---- the board -----------------------------------------------------------------------------------


def test_in_a_pause_the_ticks_stand_still_and_none_is_left_out(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d"]))
        client.block()
        board.inject(Pause(for_s=A_WHILE_S))
        wait_until(lambda: not moves(lambda: client.list().tick), "standstill")
        wait_until(lambda: moves(lambda: client.list().tick), "ticks again")
        blocks_to_the_end(board, client, "ramp_d")
        (run,) = board.written("ramp_d")
        times_s = board.true_time_s(np.arange(run.first_tick, run.last_tick + 1))
        assert np.diff(times_s).max() == pytest.approx(A_WHILE_S, rel=1e-3)


def test_a_variable_that_is_not_assigned_keeps_its_value(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d", "ramp_j"]))
        blocks = client.blocks(4)
        board.inject(Unassigned(variable="ramp_d", for_s=A_WHILE_S))
        wait_until(lambda: not moves(lambda: listed_value(client, "ramp_d")), "no assignment")
        assert moves(lambda: listed_value(client, "ramp_j"))
        assert "ramp_d" in board.watched_names()
        wait_until(lambda: moves(lambda: listed_value(client, "ramp_d")), "assignments")
        blocks = [block for block in blocks if block.variable.name == "ramp_d"]
        blocks += blocks_to_the_end(board, client, "ramp_d")
        before, after = board.written("ramp_d")
        assert after.first_tick - before.last_tick > 44_100 * A_WHILE_S / 2
        assert len(board.written("ramp_j")) == 1
        values = np.concatenate([block.values for block in blocks])
        written = [np.arange(run.first_tick, run.last_tick + 1) for run in (before, after)]
        expected = np.concatenate(written)
        np.testing.assert_array_equal(values[: expected.size], expected)
        assert not values[expected.size :].any()


def test_all_variables_can_be_left_unassigned(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(Unassigned(for_s=LONG_S))
        wait_until(lambda: not moves(lambda: listed_value(client, "ramp_sparse")))
        client.tell(watch_command(["ramp_d"]))
        assert moves(lambda: client.list().tick)
        assert board.watched_names() == []  # it would show at the next assignment


def test_a_board_without_data_answers_and_writes_nothing(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d"]))
        client.block()
        board.inject(NoData(for_s=A_WHILE_S))
        wait_until(lambda: not moves(lambda: board.account("ramp_d")), "no data")
        assert moves(lambda: client.list().tick)
        assert "ramp_d" in board.watched_names()
        wait_until(lambda: moves(lambda: board.account("ramp_d")), "data again")
        blocks_to_the_end(board, client, "ramp_d")
        before, after = board.written("ramp_d")
        assert after.first_tick - before.last_tick > 44_100 * A_WHILE_S / 2


def test_data_stays_withheld_from_new_clients(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        board.inject(NoData(for_s=LONG_S), OtherClient(cmd="watch", variables="ramp_d"))
        wait_until(lambda: board.watched_names() == ["ramp_d"])
        with raw_client(board.url) as client:
            assert board.wants_data
            with pytest.raises(TimeoutError):
                client.data.recv(timeout=0.1)
            assert board.account("ramp_d").written == 0


def test_other_clients_reach_all_variables_by_default(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        board.inject(OtherClient(cmd="watch"))
        wait_until(lambda: len(board.watched_names()) == len(board.sketch.variables))


def test_another_client_monitors_and_ends_it(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(OtherClient(cmd="monitor", variables="ramp_i+ramp_d", period_ticks=400))
        first, second = client.blocks(2)
        assert (first.monitor, second.monitor) == (True, True)
        assert {first.variable.name, second.variable.name} == {"ramp_i", "ramp_d"}
        assert board.monitored() == {"ramp_i": 400, "ramp_d": 400}
        board.inject(OtherClient(cmd="monitor", variables="ramp_i"))
        wait_until(lambda: board.monitored() == {"ramp_d": 400})


@pytest.mark.parametrize("cmd", ["log", "control"])
def test_another_client_logs_and_controls_and_ends_it(cmd: str, wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:

        def state() -> tuple[bool, bool]:
            variable = next(v for v in client.list().variables if v.name == "ramp_d")
            return variable.logged, variable.controlled

        board.inject(OtherClient(cmd=cmd, variables="ramp_d"))
        wait_until(lambda: state() == (cmd == "log", cmd == "control"))
        board.inject(OtherClient(cmd=f"un{cmd}", variables="ramp_d"))
        wait_until(lambda: state() == (False, False))


# ---- the clock, and the times of faults ----------------------------------------------------------


def test_faults_of_the_clock_reach_the_board(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        before = client.list().tick
        board.inject(StepClock(step_s=100.0))
        wait_until(lambda: client.list().tick > before + 100 * 44_000)
        board.inject(Drift(ppm=500.0))
        wait_until(lambda: board.true_tick_rate_hz == pytest.approx(44_100 * 1.0005))


def test_in_an_underrun_ticks_lag_by_whole_blocks_and_no_value_is_left_out(
    wait_until: WaitUntil,
) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d"]))
        client.block()
        before_s = board.true_time_s([10**9])[0]
        board.inject(Underrun(ms=3.6), Underrun(ms=0.01))
        block_s = 16 / 44_100
        wait_until(lambda: board.true_time_s([10**9])[0] - before_s == pytest.approx(11 * block_s))
        blocks = blocks_to_the_end(board, client, "ramp_d")
        (run,) = board.written("ramp_d")
        assert run.n_values == run.last_tick - run.first_tick + 1
        assert np.all(np.diff([block.tick for block in blocks]) == 512)
        steps_s = np.diff(board.true_time_s(np.arange(run.first_tick, run.last_tick + 1)))
        lags = np.flatnonzero(steps_s > 1.5 / 44_100) + run.first_tick + 1
        assert np.all(lags % 16 == 0)
        assert steps_s.sum() - steps_s.size / 44_100 == pytest.approx(11 * block_s)


def test_late_bursts_come_all_at_once_and_lag_by_nothing(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        ticks = np.arange(0, 10**7, 1000)
        before_s = board.true_time_s(ticks)
        board.inject(LateBurst(ms=60_000.0, every_s=LONG_S))
        wait_until(lambda: not moves(lambda: client.list().tick), "standstill")
        board.inject(LateBurst(ms=0.001))
        wait_until(lambda: moves(lambda: client.list().tick), "ticks again")
        np.testing.assert_array_equal(board.true_time_s(ticks), before_s)
        now_s = time.monotonic()
        assert board.true_time_s([client.list().tick])[0] >= now_s - 0.001


def test_a_timed_fault_comes_again(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board:
        watch = OtherClient(at_s=0.01, every_s=0.05, cmd="watch", variables="ramp_d+ramp_j")
        board.inject(watch)
        for _ in range(2):
            wait_until(lambda: board.watched_names() == ["ramp_d", "ramp_j"])
            for text in encode_commands([unwatch_command(["ramp_d", "ramp_j"])]):
                board.inject_command(text)


def test_faults_can_wait_for_the_first_client_to_be_ready() -> None:
    with SimulatedBoard("ramps") as board:
        board.inject(Disconnect(socket="control"), await_client=True)
        with open_channel(board.url, "control") as control:
            control.send(CONNECTION_REPLY)
            for text in encode_commands([list_command()]):
                control.send(text)
            assert "connection" in str(control.recv(timeout=20))
            assert "watchers" in str(control.recv(timeout=20))
            time.sleep(LOOK_S)
            assert board.n_clients == 1
            with open_channel(board.url, "data"), pytest.raises(ConnectionClosed):
                control.recv(timeout=20)
        with raw_client(board.url) as client:  # it happens once
            time.sleep(LOOK_S)
            assert client.list().variables


def test_faults_do_not_wait_for_a_client_that_is_there() -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        board.inject(Disconnect(), await_client=True)
        with pytest.raises(ConnectionClosed):
            client.control.recv(timeout=20)
