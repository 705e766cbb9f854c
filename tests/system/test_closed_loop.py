"""The loop closed: from LSL to the board and back, beside floods, restarts and networks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from bela_module.protocol.variables import ValueType
from bela_module.simulator.network.delays import NETWORKS
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.sketches.built_in import SKETCHES
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from bela_module.streams.lsl_clock import local_clock
from tests.support.input_helpers import Decoder, input_status
from tests.support.session_helpers import Running, WaitUntil, session_at

ENDED = ("echoed", "superseded", "lost", "unmeasured", "outstanding")
SKETCH = Sketch(
    "closed-loop",
    "with a fast variable beside it",
    (*SKETCHES["closed-loop"].variables, SketchVariable("fast", ValueType.DOUBLE, ramp)),
)


@contextmanager
def closed_loop(unique: str, **options: Any) -> Iterator[tuple[SimulatedBoard, Running, Decoder]]:
    """Close the loop of a decoder whose first channel counts its samples."""
    table = {"stream": f"{unique}decoder", "buffer_id": 0, "type": "d", "echo": "echo"}
    with (
        SimulatedBoard(SKETCH, clock=local_clock, **options) as board,
        Decoder(f"{unique}decoder") as decoder,
        session_at(board.port, inputs={"level": table}) as one,
    ):
        one.start()
        decoder.await_inlet(one)
        yield board, one, decoder


def loop_of(one: Running) -> dict[str, Any]:
    loop: dict[str, Any] = input_status(one)["loop"]
    return loop


def push_until_echoed(one: Running, decoder: Decoder, wait_until: WaitUntil) -> None:
    """Push single samples until one has come back."""
    before = loop_of(one)["echoed"]

    def echoed() -> bool:
        decoder.push(-1, 0)
        time.sleep(0.1)
        return bool(loop_of(one)["echoed"] > before)

    wait_until(echoed, "an echo")


@pytest.mark.parametrize("network", ["usb", "wifi"])
def test_the_stated_delay_is_the_true_one_within_its_uncertainty(
    network: str, unique: str, wait_until: WaitUntil
) -> None:
    with closed_loop(unique, network=NETWORKS[network], drift_ppm=50.0) as (board, one, decoder):
        stamps_s = []
        for k in range(60):
            stamps_s.append(decoder.push(k, 0))
            time.sleep(0.01)
        wait_until(lambda: loop_of(one)["outstanding"] == 0, "all echoes")
        true_s = {int(row[0]): board.true_time_s([tick])[0] for tick, row in board.taken_commands}
        sample_of = {int(row[0]): int(row[1]) for _, row in board.taken_commands}
        rows = one.sink["bela_loop"].rows
        assert len(rows) > 5
        for number, one_way_s, uncertainty_s, round_trip_s, *_ in rows:
            true_delay_s = true_s[int(number)] - stamps_s[sample_of[int(number)]]
            assert abs(one_way_s - true_delay_s) <= uncertainty_s + 1e-4
            assert round_trip_s > true_delay_s
        loop = loop_of(one)
        assert loop["sent"] == sum(loop[key] for key in ENDED)
        assert loop["lost"] == loop["doubled"] == loop["foreign"] == 0


def test_a_decoder_that_floods_harms_nothing(unique: str, wait_until: WaitUntil) -> None:
    n_chunks, n_rows = 200, 250  # 50 kHz for a second
    with closed_loop(unique) as (board, one, decoder), Decoder(f"{unique}flood") as flood:
        one.connect_input(name="flood", stream=flood.name, buffer_id=7, max_rate_hz=200.0)
        flood.await_inlet(one, "flood")
        done = threading.Event()

        def push_flood() -> None:
            for k in range(n_chunks):
                flood.push_chunk(np.full((n_rows, 2), float(k)))
                time.sleep(0.005)
            done.set()

        thread = threading.Thread(target=push_flood)
        begun_s = time.monotonic()
        thread.start()
        while not done.is_set():
            decoder.push(1, 0)
            time.sleep(0.02)
        thread.join()
        took_s = time.monotonic() - begun_s
        push_until_echoed(one, decoder, wait_until)

        def is_counted() -> bool:
            found = input_status(one, "flood")
            return bool(found["sent"] + found["dropped"] == found["samples"])

        wait_until(is_counted, "all counted")
        found = input_status(one, "flood")
        # What LSL itself drops of an inlet's buffer of 10 000 samples was never received.
        assert 0 < found["samples"] <= n_chunks * n_rows
        assert found["sent"] <= 200.0 * (took_s + 1.0)
        wait_until(lambda: loop_of(one)["outstanding"] == 0, "all echoes")
        assert loop_of(one)["lost"] == 0
        assert one.streams["bela_fast"]["lost"] == 0


def test_the_loop_goes_on_after_a_restart_of_the_board(unique: str, wait_until: WaitUntil) -> None:
    with closed_loop(unique) as (board, one, decoder):
        push_until_echoed(one, decoder, wait_until)
        board.restart()
        wait_until(lambda: one.session.status()["counters"]["restarts"] == 1, "restart")
        push_until_echoed(one, decoder, wait_until)
        one.stop()
        loop = loop_of(one)
        assert loop["sent"] == sum(loop[key] for key in ENDED)
        assert loop["doubled"] == 0
        stamps_s = one.sink["bela_loop"].stamps_s
        assert (np.diff(stamps_s) >= 0).all()


def test_a_loop_in_blocks_is_counted_whole(unique: str, wait_until: WaitUntil) -> None:
    with closed_loop(unique) as (board, one, decoder):
        push_until_echoed(one, decoder, wait_until)
        for k in range(2000):  # so many a second that their echoes come in blocks
            decoder.push(k, 0)
            time.sleep(0.0008)
        wait_until(lambda: input_status(one)["samples"] >= 2000, "samples")
        one.stop()
        loop, found = loop_of(one), input_status(one)
        assert found["samples"] == found["sent"] + found["dropped"] + found["refused"]
        assert loop["sent"] == found["sent"] == sum(loop[key] for key in ENDED)
        assert loop["lost"] == loop["doubled"] == loop["foreign"] == 0
        taken = [int(row[0]) for _, row in board.taken_commands]
        assert loop["echoed"] + loop["unmeasured"] >= len(taken) - 512  # of the block that is kept
        assert set(one.sink["bela_echo"].values.tolist()) <= set(taken)
