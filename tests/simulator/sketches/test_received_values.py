"""What a client sends to a sketch comes back from it, a tick for each buffer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bela_module.protocol.control_commands import watch_command
from bela_module.protocol.sketch_buffer import SketchBuffer, encode_buffer
from bela_module.protocol.variables import ValueType
from bela_module.simulator.faults.timed_faults import StepClock
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.received_values import ReceivedValues
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
