"""Methods that scripts for pybela call besides: sizes, raw commands, the loop, ssh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bela_module import Streamer
from bela_module.errors import ArgumentError, RequestError
from bela_module.protocol.variables import BlockLayout, ValueType
from bela_module.scripting.pybela_methods import BoardChannel, SizeMethods, commands_of
from bela_module.simulator.simulated_board import SimulatedBoard


@pytest.mark.parametrize("value_type", list(ValueType))
@pytest.mark.parametrize("mode", ["dense", "sparse"])
def test_sizes_are_those_of_the_wire(value_type: ValueType, mode: str) -> None:
    sizes, letter = SizeMethods(), value_type.value
    assert (
        sizes.get_data_length(letter, mode) == BlockLayout(value_type, mode == "sparse").value_count
    )
    assert sizes.get_data_byte_size(letter) == value_type.dtype.itemsize
    assert sizes.get_buffer_size(letter, mode) == 4104


def test_of_what_there_is_not_sizes_are_0() -> None:
    sizes = SizeMethods()
    assert (sizes.get_data_length("f", "dense"), sizes.get_data_length("d", "sparse")) == (
        1024,
        341,
    )
    for wrong in (("x", "dense"), ("f", "thick")):
        assert (sizes.get_data_length(*wrong), sizes.get_buffer_size(*wrong)) == (0, 0)
    assert sizes.get_data_byte_size("x") == 0


def test_commands_go_to_the_board_as_they_are(
    streamer: Streamer, board: SimulatedBoard, wait_until: Callable[..., None]
) -> None:
    streamer.send_ctrl_msg({"watcher": [{"cmd": "control", "watchers": ["ramp_d"]}]})
    wait_until(lambda: board.controlled_values().keys() == {"ramp_d"}, "the board's control")
    streamer.send_ctrl_msg({"watcher": [{"cmd": "uncontrol", "watchers": ["ramp_d"]}]})
    wait_until(lambda: board.controlled_values() == {}, "its end")


@pytest.mark.parametrize(
    "message", [None, "list", {}, {"watcher": []}, {"watcher": [{}]}, {"watcher": ["list"]}]
)
def test_what_is_no_command_is_refused(message: Any) -> None:
    with pytest.raises(ArgumentError, match='"cmd": "watch"'):
        commands_of(message)


def test_ssh_is_refused_with_what_to_do(streamer: Streamer) -> None:
    with pytest.raises(RequestError, match="scp"):
        streamer.connect_ssh()
    with pytest.raises(RequestError, match=r"copy_file_from_bela\('a.bin'\).*scp"):
        streamer.copy_file_from_bela("a.bin", "b.bin")
    streamer.disconnect_ssh()


def test_the_loop_is_the_one_that_runs_else_its_own(board: SimulatedBoard) -> None:
    streamer = Streamer("127.0.0.1", board.port)

    async def running() -> bool:
        return streamer.loop is asyncio.get_running_loop()

    assert asyncio.run(running())
    streamer.connect()
    loop = streamer.loop
    assert streamer.loop is loop
    task = loop.create_task(streamer.async_stream_n_values(["ramp_d"], [], 512))
    buffers = loop.run_until_complete(task)
    assert len(buffers["ramp_d"][0]["data"]) == 512
    streamer.cleanup()
    assert loop.is_closed()
    assert not streamer.is_connected()


def test_a_channel_shows_the_connection() -> None:
    closed: list[bool] = []
    channel = BoardChannel(lambda: not closed, lambda: closed.append(True))
    assert channel.state == 1
    asyncio.run(channel.close())
    assert channel.state == 3
