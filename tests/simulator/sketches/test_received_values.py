"""What a client sends to a sketch comes back from it, a tick for each buffer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bela_module.protocol.control_commands import monitor_command, watch_command
from bela_module.protocol.sketch_buffer import SketchBuffer, encode_buffer
from bela_module.protocol.variables import ValueType
from bela_module.simulator.faults.timed_faults import StepClock
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.built_in import find_sketch
from bela_module.simulator.sketches.received_values import CopiedCommands, ReceivedValues
from bela_module.streams.lsl_clock import local_clock
from tests.support.raw_client import RawClient, raw_client

WaitUntil = Callable[..., None]


def send(client: RawClient, buffer_id: int, values: np.ndarray) -> None:
    client.data.send(encode_buffer(SketchBuffer(buffer_id, ValueType.FLOAT, values)))


def test_values_are_numbered_over_the_buffers() -> None:
    received = ReceivedValues()
    assert received.first_at_or_after(0) == 0
    assert received.tick(0) > 2**61
    received.add(3, np.arange(4, dtype=np.float32))
    received.add(5, np.empty(0, np.float32))
    received.add(9, np.arange(4, 6, dtype=np.float32))
    numbers = np.arange(6)
    assert received.ticks(numbers).tolist() == [3, 3, 3, 3, 9, 9]
    assert received.signal(numbers, numbers / 1.0).tolist() == [0, 1, 2, 3, 4, 5]
    assert [received.first_at_or_after(tick) for tick in (3, 4, 9, 10)] == [0, 4, 4, 6]
    assert received.tick(-1) < 0


def test_a_full_buffer_comes_back_at_once_with_its_number_as_tick() -> None:
    with SimulatedBoard("bela-test-send") as board, raw_client(board.url) as client:
        assert client.list().tick == 0
        client.tell(watch_command(["myvar1", "myvar2"]))
        assert not any(variable.watched for variable in client.list().variables)
        for buffer_id in (0, 1):
            values = np.arange(1024) + 1000 * buffer_id
            send(client, buffer_id, values)
            block = client.block()
            assert (block.variable.name, block.tick) == (f"myvar{buffer_id + 1}", buffer_id + 1)
            np.testing.assert_array_equal(block.values, values)
        board.inject(StepClock(step_s=5.0))
        assert client.list().tick == board.tick_now() == 2


def test_parts_of_a_block_wait_for_the_rest(wait_until: WaitUntil) -> None:
    with SimulatedBoard("bela-test-send") as board, raw_client(board.url) as client:
        client.tell(watch_command(["myvar1"]))
        client.list()
        for start in range(0, 1200, 100):
            send(client, 0, np.arange(start, start + 100))
        send(client, 7, np.arange(3))  # of no variable, but a tick
        block = client.block()
        assert block.tick == 1
        np.testing.assert_array_equal(block.values, np.arange(1024))
        wait_until(lambda: board.tick_now() == 13)
        assert board.account("myvar1").pending == 176
        assert client.list().variables[0].value_input == 1199


def command(*numbers: float) -> SketchBuffer:
    return SketchBuffer(0, ValueType.FLOAT, np.array(numbers))


def test_of_the_commands_within_a_block_the_last_one_is_copied() -> None:
    commands = CopiedCommands(find_sketch("closed-loop"))
    echo, level = commands.variables
    commands.receive(command(7, 0.5), 15)
    commands.receive(command(8, 0.25), 15)
    commands.receive(command(8, 0.25), 31)  # not a new one
    commands.receive(SketchBuffer(1, ValueType.FLOAT, np.array([9.0])), 31)
    commands.receive(command(9), 47)
    numbers, ticks = np.arange(3), np.array([0, 14, 15, 46, 47, 50])
    assert echo.assignments.ticks(numbers)[:2].tolist() == [15, 47]
    assert echo.assignments.tick(2) > 2**61
    assert echo.assignments.tick(-1) < 0
    assert echo.signal(numbers[:2], numbers / 1.0).tolist() == [8, 9]
    assert level.signal(ticks, ticks / 1.0).tolist() == [0, 0, 0.25, 0.25, 0, 0]


def test_a_dense_copy_has_the_value_of_many_commands_ago() -> None:
    commands = CopiedCommands(find_sketch("closed-loop"))
    for number in range(1, 6001):
        commands.receive(command(number, 2 * number), 16 * number - 1)
    level = commands.variables[1]
    ticks = np.array([16 * 3000, 16 * 1800, 16 * 6000])
    assert level.signal(ticks, ticks / 1.0).tolist() == [6000, 2 * 1904, 12_000]


def test_the_echo_has_the_tick_of_the_block_after_the_arrival() -> None:
    with (
        SimulatedBoard("closed-loop", clock=local_clock) as board,
        raw_client(board.url) as client,
    ):
        client.tell(monitor_command(["echo"], [2]))
        client.list()
        for number in (3, 4):
            sent_s = local_clock()
            client.data.send(encode_buffer(command(number, 0.5)))
            block = client.block()
            arrived_s = local_clock()
            assert (block.variable.name, block.values.tolist()) == ("echo", [number])
            assert block.tick % 16 == 15
            effect_s = float(board.true_time_s([block.tick])[0])
            assert sent_s <= effect_s <= arrived_s
            assert board.taken_commands[-1] == (block.tick, (number, 0.5))
