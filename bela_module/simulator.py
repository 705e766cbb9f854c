"""A simulated Bela board: the Watcher's two websockets, with its own clock and sketches.

Run ``python -m bela_module.simulator --port 5555`` and point any Watcher client at it, or use
:class:`SimulatedBoard` in a test. What it sends is byte for byte what a board sends: block
sizes, padded inclusive ends, broadcast replies, state that outlives connections, silence on bad
input. Its ticks come in bursts from a clock that drifts as asked.

What it does not simulate: the browser GUI and its pages, the IDE and SSH; the sketch's audio, and
its reading of controlled values and buffers; the files that ``log`` writes; the load of the
board's processor and the losses that come from it, unless asked for as faults; the jitter of
ticks within a burst.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from bela_module.errors import BelaError
from bela_module.simulated_board import SimulatedBoard
from bela_module.sketches import SKETCHES

__all__ = ["SimulatedBoard", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a simulated board from the command line until Ctrl-C or SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name.

    Returns
    -------
    int
        Exit status: 0 after a normal end, 1 when the board could not be started.
    """
    options = _parser().parse_args(arguments)
    if options.list_sketches:
        for sketch in SKETCHES.values():
            _say(f"{sketch.name:15} {sketch.summary}")
        return 0
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        with _make_board(options) as board:
            _say(f"a simulated board runs {board.project!r} at {board.url}")
            while not ended.wait(0.2):
                pass
    except BelaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _make_board(options: argparse.Namespace) -> SimulatedBoard:
    return SimulatedBoard(
        options.sketch,
        options.rate,
        drift_ppm=options.drift_ppm,
        delay_s=options.delay_ms / 1000,
        jitter_s=options.jitter_ms / 1000,
        host=options.host,
        port=options.port,
        seed=options.seed,
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bela_module.simulator",
        description="A simulated Bela board: any client of Watcher can connect to it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5555, help="port; 0 takes a free one")
    parser.add_argument("--sketch", default="simulation", choices=SKETCHES, help="what it runs")
    parser.add_argument("--rate", type=float, metavar="HZ", help="ticks per second")
    parser.add_argument("--drift-ppm", type=float, default=0.0, help="its clock runs fast by this")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="network delay each way")
    parser.add_argument(
        "--jitter-ms", type=float, default=0.0, help="mean of exponential jitter each way"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--list-sketches", action="store_true", help="list the sketches and end")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
