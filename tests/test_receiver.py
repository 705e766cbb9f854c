"""What Streamer and Monitor share: one run at a time, queues of a chosen length, a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bela_module import Streamer
from bela_module.errors import NoReplyError, RequestError
from bela_module.receiver import Receiver
from bela_module.simulator import SimulatedBoard


@pytest.fixture
def board() -> Iterator[SimulatedBoard]:
    with SimulatedBoard("ramps") as board:
        yield board


@pytest.fixture
def streamer(board: SimulatedBoard) -> Iterator[Streamer]:
    with Streamer("127.0.0.1", board.port) as streamer:
        yield streamer


def test_a_new_one_has_nothing_and_says_so() -> None:
    receiver = Receiver("127.0.0.1", 1)
    assert not receiver.is_streaming()
    assert receiver.streaming_buffers_queue == {}
    assert receiver.saved_files == {}
    receiver.disconnect()


def test_the_queue_keeps_the_newest_buffers(
    streamer: Streamer, wait_until: Callable[..., None]
) -> None:
    with pytest.raises(RequestError, match="must be at least 1"):
        streamer.streaming_buffers_queue_length = 0
    streamer.streaming_buffers_queue_length = 3
    streamer.start_streaming("ramp_d")
    wait_until(lambda: len(streamer.streaming_buffers_queue["ramp_d"]) == 3, "three buffers")
    first = streamer.streaming_buffers_queue["ramp_d"][0]["ref_timestamp"]
    wait_until(
        lambda: streamer.streaming_buffers_queue["ramp_d"][0]["ref_timestamp"] > first, "newer ones"
    )
    assert len(streamer.streaming_buffers_queue["ramp_d"]) == 3
    streamer.stop_streaming()
    assert not streamer.is_streaming()
    streamer.flush_queue()
    assert not streamer.streaming_buffers_queue["ramp_d"]


def test_waiting_in_vain_is_an_error_that_says_what_came(streamer: Streamer) -> None:
    with pytest.raises(NoReplyError, match="ramp_sparse"):
        streamer.stream_n_values("ramp_sparse", n_values=10**9, timeout_s=0.3)
    assert not streamer.is_streaming()
