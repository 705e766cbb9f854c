"""Receive times of the kernel: converted, refused where the wall clock was set, used by sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time

import pytest

from bela_module.connection.board_socket import SocketOptions, close_socket, open_socket
from bela_module.connection.stamped_socket import (
    TIMESTAMP_OPTION,
    KernelTimes,
    StampedSocket,
    connect_socket,
)
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock

EPOCH_NS = 1_800_000_000_000_000_000
STALL_S = 0.3

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells these times")


class TwoClocks:
    """The wall clock, and the one of the stamps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.set_by_s = 0.0

    def now(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return EPOCH_NS + round((self.now_s + self.set_by_s) * 1e9)

    def stamp(self) -> list[tuple[int, int, bytes]]:
        """What the kernel tells of bytes that it receives now."""
        content = struct.pack("@ll", *divmod(self.wall_ns(), 10**9))
        return [(socket.SOL_SOCKET, TIMESTAMP_OPTION, content)]


def test_a_time_of_the_wall_clock_becomes_one_of_the_other() -> None:
    clocks = TwoClocks()
    times = KernelTimes(clocks.now, clocks.wall_ns)
    stamp = clocks.stamp()
    clocks.now_s += 0.0004
    assert times.convert(stamp) == pytest.approx(100.0, abs=1e-6)


@pytest.mark.parametrize("step_s", [-3600.0, -0.001, 0.001, 3600.0])
def test_times_around_a_step_of_the_wall_clock_are_refused(step_s: float) -> None:
    clocks = TwoClocks()
    times = KernelTimes(clocks.now, clocks.wall_ns)
    stamp = clocks.stamp()
    clocks.now_s += 0.002
    clocks.set_by_s = step_s
    assert times.convert(stamp) is None
    stamp = clocks.stamp()
    clocks.now_s += 0.0004
    assert times.convert(stamp) == pytest.approx(100.002, abs=1e-6)


def test_a_time_of_the_future_is_refused() -> None:
    clocks = TwoClocks()
    times = KernelTimes(clocks.now, clocks.wall_ns)
    clocks.now_s += 1.0
    stamp = clocks.stamp()
    clocks.now_s -= 1.0
    assert times.convert(stamp) is None


@pytest.mark.parametrize(
    "ancillary",
    [[], [(socket.SOL_SOCKET, TIMESTAMP_OPTION + 1, bytes(16))], [(1, TIMESTAMP_OPTION, b"")]],
)
def test_without_a_time_there_is_none(ancillary: list[tuple[int, int, bytes]]) -> None:
    clocks = TwoClocks()
    assert KernelTimes(clocks.now, clocks.wall_ns).convert(ancillary) is None


def test_a_socket_that_was_not_asked_for_times_reads_as_any_other() -> None:
    ours, theirs = socket.socketpair()
    with StampedSocket(ours.family, ours.type, fileno=ours.detach()) as stamped, theirs:
        theirs.sendall(b"bytes")
        assert stamped.recv(16) == b"bytes"
        assert stamped.kernel_s is None


@linux_only
def test_the_time_of_sending_is_that_of_the_first_bytes_which_were_expected() -> None:
    now_s = 100.0
    ours, theirs = socket.socketpair()
    with StampedSocket(ours.family, ours.type, fileno=ours.detach()) as stamped, theirs:
        stamped.stamp_with(lambda: now_s)
        stamped.send(b"before")
        stamped.expect_send()
        assert stamped.sent_since(99.0) == 99.0
        now_s = 101.0
        stamped.send(b"request")
        now_s = 102.0
        stamped.send(b"another")
        assert stamped.sent_since(99.0) == 101.0
        assert theirs.recv(64) == b"beforerequestanother"


def test_without_receive_times_of_the_kernel_the_time_before_is_taken() -> None:
    ours, theirs = socket.socketpair()
    with StampedSocket(ours.family, ours.type, fileno=ours.detach()) as stamped, theirs:
        stamped.expect_send()
        stamped.send(b"request")
        assert stamped.sent_since(99.0) == 99.0


@linux_only
def test_what_waits_in_the_kernel_has_the_time_of_its_arrival() -> None:
    async def scenario(port: int) -> tuple[float, float, float]:
        url = f"ws://127.0.0.1:{port}/gui_control"
        control = await open_socket(url, SocketOptions(2**16, local_clock, 9))
        try:
            async with asyncio.timeout(9):
                await control.recv()
                sent_s = local_clock()
                await control.send('{"watcher":[{"cmd":"list"}]}')
                time.sleep(STALL_S)  # noqa: ASYNC251 - a busy program
                stalled_until_s = local_clock()
                await control.recv()
            return sent_s, control.received_s, stalled_until_s
        finally:
            await close_socket(control)

    for _ in range(3):  # a computer that stalls answers late
        with SimulatedBoard("potentiometers") as board:
            sent_s, received_s, stalled_until_s = asyncio.run(scenario(board.port))
        assert received_s >= sent_s
        if received_s < stalled_until_s - 0.1:
            break
    assert received_s < stalled_until_s - 0.1


def test_a_socket_that_cannot_connect_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError, match="Connect call failed"):
        asyncio.run(connect_socket("127.0.0.1", port, local_clock))
