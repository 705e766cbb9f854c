"""The two sides of the soak: a board, and the module at its address, each in its own process."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from bela_module.config import parse_settings
from bela_module.protocol.variables import Array, Ticks, ValueType
from bela_module.server.bela_server import BelaServer
from bela_module.server.log_forwarding import start_logging
from bela_module.server.process_limits import limit_pauses, share_one_heap
from bela_module.session.session import Session
from bela_module.simulator.sketches.signals import ramp
from bela_module.simulator.sketches.sketch import Sketch, SketchVariable
from bela_module.streams.lsl.lsl_settings import prepare_lsl
from bela_module.streams.lsl.outlets import LslOutlets
from bela_module.streams.lsl_clock import local_clock
from bela_module.streams.sink import Stamps
from bela_module.streams.stream_plans import StreamPlan
from tests.support.accounts import Ledger, Truth
from tests.support.observed_board import ObservedBoard

_UNSURE_LISTS: Final = 3
_PRIORITY: Final = -10
_NO_LOG_SERVER: Final = 9


@dataclass
class StartMark:
    """When a run started: what a ledger asks a sink for."""

    marks: list[tuple[str, float]]


def run_board(pipe: Connection, n_variables: int) -> None:
    """Be the board, until told to quit."""
    _raise_priority()
    variables = tuple(SketchVariable(f"v{n}", ValueType.DOUBLE, ramp) for n in range(n_variables))
    sketch = Sketch("soak", "values that are their own tick", variables)
    with ObservedBoard(sketch) as board:
        pipe.send(board.port)
        while (order := pipe.recv())[0] != "quit":
            if order[0] == "disconnect":
                board.disconnect()
                pipe.send(None)
            else:
                pipe.send(_truth(board, *order[1:]))


def _truth(board: ObservedBoard, since_s: float, started_s: float, cut_off: bool) -> Truth:
    """Count what the sketch took of all variables in one run, and forget its commands."""
    n_commands = len(board.commands)
    ledger = Ledger(
        board,
        StartMark([("started", started_s)]),  # type: ignore[arg-type]
        since_s=since_s,
        cut_off=cut_off,
        n_unsure=_UNSURE_LISTS,
    )
    total = Truth(0, 0)
    for variable in board.sketch.variables:
        total += ledger.truth_of(variable.name)
    del board.commands[:n_commands]
    return total


@dataclass
class CheckedOutlets(LslOutlets):
    """LSL outlets that look at each value on its way."""

    delivered: int = 0
    wrong: int = 0
    started_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the outlets."""
        super().__init__()

    def push(self, plan: StreamPlan, ticks: Ticks, values: Array, stamps_s: Stamps) -> None:
        """Check and publish samples."""
        super().push(plan, ticks, values, stamps_s)
        if plan.variables[0].index >= 0:  # not the stream of the clock
            self.delivered += ticks.size
            self.wrong += int(np.count_nonzero(values[:, 0] != ticks))

    def mark(self, text: str, lsl_s: float) -> None:
        """Note when a run has started, and publish the marker."""
        super().mark(text, lsl_s)
        if text == "started":
            self.started_s.append(lsl_s)


def run_module(pipe: Connection, board_port: int) -> None:
    """Be the module: a server of PCOMMs with its session, until told to quit."""
    share_one_heap()
    _raise_priority()
    with open(os.environ.get("SOAK_LOG", os.devnull), "w", encoding="utf-8") as null:
        os.dup2(null.fileno(), 2)  # the log, which is long beside a client that floods
    logs = start_logging("INFO", console=True, host="127.0.0.1", port=_NO_LOG_SERVER)
    prepare_lsl(this_machine_only=True)
    sections: dict[str, Any] = {
        "board": {"host": "127.0.0.1", "port": board_port, "name": f"soak{os.getpid()}"},
        "server": {"port": 0},
    }
    settings = parse_settings(sections, "soak")
    sink = CheckedOutlets()
    session = Session(settings, sink=lambda: sink, now=local_clock)
    session.open()
    server = BelaServer(settings, lambda: session)
    server.init_server()
    listening = threading.Thread(target=server.start_listening, name="pcomm-server", daemon=True)
    listening.start()
    busy = [
        t.native_id for t in threading.enumerate() if t.name in ("pcomm-server", "bela-session")
    ]
    pipe.send((server.port, busy))
    with limit_pauses():
        while pipe.recv() != "quit":
            pipe.send((sink.delivered, sink.wrong, list(sink.started_s), threading.active_count()))
    server.shutdown()
    listening.join()
    logs.close(0.1)


def _raise_priority() -> None:
    """Have a computer of its own, as far as that can be: it needs to be root."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
