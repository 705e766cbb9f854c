"""The simulated board: its clock, what it tells tests, and trouble with the board itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from bela_module.errors import RequestError
from bela_module.protocol.control_commands import (
    monitor_command,
    set_command,
    unwatch_command,
    watch_command,
)
from bela_module.protocol.sketch_buffer import SketchBuffer, encode_buffer
from bela_module.protocol.variables import ValueType
from bela_module.simulator.simulated_board import SimulatedBoard
from tests.support.raw_client import raw_client

WaitUntil = Callable[..., None]


class HandClock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_ramp_arrives_whole_and_is_accounted_for(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d"]))
        blocks = client.blocks(20)
        client.tell(unwatch_command(["ramp_d"]))
        wait_until(lambda: not board.watched_names())
        account = board.account("ramp_d")
        while sum(int(np.count_nonzero(block.values)) for block in blocks) < account.sent:
            blocks.append(client.block())
        values = np.concatenate([block.values for block in blocks])[: account.sent]
        (run,) = board.written("ramp_d")
        np.testing.assert_array_equal(values, np.arange(run.first_tick, run.last_tick + 1))
        assert account == (run.n_values, run.n_values, 0, 0)


@pytest.mark.parametrize("name", ["truth", "multiplexed", "fast"])
def test_the_truth_variable_holds_the_time_of_each_tick(name: str) -> None:
    with SimulatedBoard(name, drift_ppm=-80) as board, raw_client(board.url) as client:
        client.tell(watch_command(["truth"]))
        block = client.block()
        ticks = block.tick + np.arange(block.values.size)
        np.testing.assert_array_equal(block.values, board.true_time_s(ticks))
        assert np.diff(block.values).mean() == pytest.approx(1 / board.true_tick_rate_hz)
        assert board.true_tick_rate_hz == pytest.approx(board.sketch.tick_rate_hz * (1 - 80e-6))


def test_ticks_follow_the_given_clock_in_whole_bursts() -> None:
    clock = HandClock()
    with (
        SimulatedBoard("ramps", 1000.0, clock=clock, first_tick=500) as board,
        raw_client(board.url) as client,
    ):
        assert client.list().sample_rate_hz == 1000.0
        first_tick = 500 - 500 % 16
        clock.now_s += 2.0
        listed = client.list()
        assert listed.tick == board.tick_now()
        assert 2000 - 16 <= listed.tick + 1 - first_tick <= 2000
        assert (listed.tick + 1) % 16 == 0
        assert board.true_time_s([listed.tick])[0] <= clock.now_s


def test_the_declared_rate_need_not_be_the_tick_rate() -> None:
    with SimulatedBoard() as board, raw_client(board.url) as client:
        assert board.true_tick_rate_hz == 22050.0
        assert client.list().sample_rate_hz == 44100.0


def test_it_tells_what_clients_asked_for(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url) as client:
        client.tell(monitor_command(["ramp_i"], [400]))
        client.tell({"cmd": "control", "watchers": ["ramp_f"]}, set_command(["ramp_f"], [0.5]))
        wait_until(lambda: board.controlled_values() == {"ramp_f": 0.5})
        assert board.monitored() == {"ramp_i": 400}
        assert any('"setMask"' in text or '"set"' in text for text in board.control_messages)


def test_buffers_for_the_sketch_are_kept(wait_until: WaitUntil) -> None:
    with SimulatedBoard() as board, raw_client(board.url) as client:
        client.data.send(b"too short")
        client.data.send(encode_buffer(SketchBuffer(3, ValueType.FLOAT, np.array([1.0, 2.5]))))
        wait_until(lambda: len(board.received_buffers) == 1)
        buffer = board.received_buffers[0]
        assert (buffer.buffer_id, buffer.values.tolist()) == (3, [1.0, 2.5])


def test_what_is_watched_outlives_the_connection() -> None:
    with SimulatedBoard("ramps") as board:
        with raw_client(board.url) as client:
            client.tell(watch_command(["ramp_d"]))
            client.block()
        assert board.watched_names() == ["ramp_d"]
        with raw_client(board.url) as client:
            spliced = client.block()
            assert np.diff(spliced.values).max() > 1
            following = client.block()
            assert following.tick == spliced.values[-1] + 1


def test_a_restart_forgets_everything_and_begins_again() -> None:
    with SimulatedBoard("ramps", first_tick=10**9) as board:
        with raw_client(board.url) as client:
            client.tell(watch_command(["ramp_d"]))
            assert client.block().tick >= 10**9
            board.restart("truth", project="other")
            with pytest.raises(ConnectionClosed):
                client.control.recv(timeout=20)
        assert board.project == "other"
        ((run,),) = board.written_before("ramp_d")
        assert run.first_tick >= 10**9
        assert board.written_before("truth") == ()
        with raw_client(board.url) as client:
            listed = client.list()
            assert listed.tick < 10**9
            assert [v.name for v in listed.variables] == ["truth", "counter"]
            assert not any(v.watched for v in listed.variables)


def test_a_step_forward_leaves_ticks_out() -> None:
    clock = HandClock()
    with SimulatedBoard("ramps", 16_000.0, clock=clock) as board, raw_client(board.url) as client:
        client.tell(watch_command(["ramp_d"]))
        clock.now_s += 0.01
        before = client.list().tick
        board.step_clock(1.0)
        assert client.list().tick == board.tick_now() == before + 16_000
        clock.now_s += 0.01
        assert board.tick_now() == before + 16_000 + 160
        times_s = board.true_time_s([before, before + 16_001])
        assert times_s[1] - times_s[0] == pytest.approx(1 / 16_000)
        assert [run.n_values for run in board.written("ramp_d")][0] == before + 1


def test_a_step_back_makes_the_board_stand_still() -> None:
    clock = HandClock()
    with SimulatedBoard("ramps", 16_000.0, clock=clock) as board:
        clock.now_s += 1.0
        before = board.tick_now()
        board.step_clock(-0.5)
        assert board.tick_now() == before
        clock.now_s += 0.5
        assert board.tick_now() == before
        clock.now_s += 0.5
        assert board.tick_now() == before + 8000


def test_a_change_of_drift_keeps_past_times() -> None:
    clock = HandClock()
    with SimulatedBoard("ramps", 16_000.0, clock=clock) as board:
        clock.now_s += 1.0
        past = board.true_time_s([100])
        board.set_drift(1e6)
        clock.now_s += 1.0
        assert board.tick_now() == pytest.approx(48_000, abs=16)
        assert board.true_time_s([100]) == past


def test_another_client_can_be_played(wait_until: WaitUntil) -> None:
    with SimulatedBoard("ramps") as board, raw_client(board.url):
        board.inject_command('{"watcher":[{"cmd":"watch","watchers":["ramp_j"]}]}')
        wait_until(lambda: board.watched_names() == ["ramp_j"])


@pytest.mark.parametrize("rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate_hz: float) -> None:
    with pytest.raises(RequestError, match="a tick rate of .* Hz; it must be 0.001 to"):
        SimulatedBoard("ramps", rate_hz)


@pytest.mark.parametrize("drift_ppm", [-1e6, float("nan"), float("inf")])
def test_a_drift_that_is_none_is_refused(drift_ppm: float) -> None:
    with pytest.raises(RequestError, match="a drift of .* ppm; it must be -500000 to"):
        SimulatedBoard("ramps", drift_ppm=drift_ppm)


def test_an_unknown_sketch_is_refused() -> None:
    with pytest.raises(RequestError, match="no sketch 'nope'; there are simulation"):
        SimulatedBoard("nope")
