"""A decoder for tests: an LSL outlet that an input of a session receives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pylsl

from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.streams.lsl_clock import local_clock
from tests.support.session_helpers import (
    TIMEOUT_S,
    Running,
    WaitUntil,
    board_of,
    session_on,
    variable,
)


class Decoder:
    """An irregular stream of two numbers, or of texts; it ends with the ``with`` statement."""

    def __init__(self, name: str, *, texts: bool = False, channels: int = 2) -> None:
        self.name = name
        self._channels = channels
        self._format = pylsl.cf_string if texts else pylsl.cf_double64
        self._outlet: pylsl.StreamOutlet | None = None

    def __enter__(self) -> Decoder:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        info = pylsl.StreamInfo(
            self.name, "Control", self._channels, 0.0, self._format, f"id-{self.name}"
        )
        self._outlet = pylsl.StreamOutlet(info)

    def end(self) -> None:
        self._outlet = None

    def push(self, *values: Any) -> float:
        """Push a sample; give its stamp."""
        assert self._outlet is not None
        stamp_s = local_clock()
        self._outlet.push_sample(list(values), stamp_s)
        return stamp_s

    def push_at(self, stamp_s: float, *values: Any) -> None:
        """Push a sample with a stamp."""
        assert self._outlet is not None
        self._outlet.push_sample(list(values), stamp_s)

    def push_chunk(self, rows: np.ndarray) -> None:
        assert self._outlet is not None
        self._outlet.push_chunk(rows, [local_clock()] * len(rows))

    def await_inlet(self, one: Running, name: str = "level") -> None:
        """Wait until an input receives it."""
        until_s = time.monotonic() + TIMEOUT_S
        while input_status(one, name)["state"] != "receiving":
            assert time.monotonic() < until_s, input_status(one, name)
            time.sleep(0.005)


def input_status(one: Running, name: str = "level") -> dict[str, Any]:
    """Give what STATUS says of an input."""
    until_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < until_s:  # a busy session gives an older STATUS
        for found in one.session.status()["inputs"]:
            if found["name"] == name:
                return dict(found)
        time.sleep(0.005)
    raise AssertionError(f"no input {name!r} in STATUS")


@contextmanager
def driven(
    unique: str, wait_until: WaitUntil, **fields: Any
) -> Iterator[tuple[SimulatedBoard, Running, Decoder]]:
    """Run an input of the configuration that has set the variable "a" to 0.5; "b" streams."""
    name = f"{unique}decoder"
    table = {"stream": name, "channels": 0, "variables": "a", **fields}
    with (
        board_of(variable("a"), variable("b")) as board,
        session_on(board, inputs={"level": table}) as one,
        Decoder(name) as decoder,
    ):
        one.start("b")
        decoder.await_inlet(one)
        decoder.push(0.5, 0)
        wait_until(lambda: board.controlled_values() == {"a": 0.5}, "value")
        yield board, one, decoder
