"""Command line of the simulated board: ``python -m bela_module.simulator``."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # Before the imports, which take a while: Ctrl-C then ends them without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FrameType, MappingProxyType
from typing import Any, Final

from bela_module.errors import BelaError, RequestError
from bela_module.simulator.faults.fault_list import (
    Fault,
    check_variables,
    describe_faults,
    parse_fault,
)
from bela_module.simulator.network.delays import NETWORKS, LinkDelay, Network
from bela_module.simulator.network.nagle import TCP_TIMINGS
from bela_module.simulator.parameters import NumberRange, Rule, WholeRange
from bela_module.simulator.replay.replayed_board import ReplayedBoard
from bela_module.simulator.simulated_board import SimulatedBoard
from bela_module.simulator.simulated_clock import DRIFT_PPM, RATE_HZ
from bela_module.simulator.sketches.built_in import SKETCHES, find_sketch
from bela_module.simulator.sketches.sketch import Sketch
from bela_module.simulator.time_limits import SIGNAL_CHECK_S

_ALLOWED: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "port": WholeRange(0, 65_535),
        "rate": RATE_HZ,
        "declared-rate": RATE_HZ,
        "drift-ppm": DRIFT_PPM,
        "delay-ms": NumberRange(0, 60_000, "ms"),
        "jitter-ms": NumberRange(0, 60_000, "ms"),
        "seed": WholeRange(0, 2**32 - 1),
        "speed": NumberRange(0.001, 1000),
    }
)
"""Allowed numbers on the command line."""

_ABOUT_FAULTS: Final = """\
A fault is written name or name:key=value,key=value; below are the names, with all keys and their
defaults. A fault with at_s happens so many seconds after the first client is there, which is when
it has both connections and wants data: with at_s=0 at once, and never before.
"""


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m bela_module.simulator"
) -> int:
    """Run a simulated board from the command line until Ctrl-C or SIGTERM.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name.
    program : str
        What ``--help`` calls the program.

    Returns
    -------
    int
        Exit status: 0 after a normal end, 1 when the board could not be started, 2 for wrong
        arguments.
    """
    options = _parser(program).parse_args(arguments)
    if options.list_sketches:
        _print_line("\n".join(f"{sketch.name:15} {sketch.summary}" for sketch in SKETCHES.values()))
        return 0
    if options.list_faults:
        _print_line("\n".join([_ABOUT_FAULTS, *describe_faults()]))
        return 0
    try:
        _check_numbers(options)
        faults = [parse_fault(text) for text in options.fault]
        board = _make_board(options)
        if isinstance(board, SimulatedBoard):
            check_variables(faults, board.sketch)
        _serve(board, faults, until_stdin_ends=options.until_stdin_ends)
    except RequestError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BelaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _check_numbers(options: argparse.Namespace) -> None:
    for name, rule in _ALLOWED.items():
        value = getattr(options, name.replace("-", "_"))
        if value is not None and not rule.allows(value):
            raise RequestError(f"--{name} {value}: it must be {rule}")


def _make_board(options: argparse.Namespace) -> SimulatedBoard | ReplayedBoard:
    network = _network(options)
    where: dict[str, Any] = {"host": options.host, "port": options.port, "seed": options.seed}
    where["tcp"] = TCP_TIMINGS[options.tcp]
    if options.replay is None:
        return SimulatedBoard(
            _sketch(options), options.rate, drift_ppm=options.drift_ppm, network=network, **where
        )
    if options.fault:
        raise RequestError("faults happen to a simulated board; a replayed one takes none")
    return ReplayedBoard(options.replay, speed=options.speed, network=network, **where)


def _sketch(options: argparse.Namespace) -> Sketch:
    sketch = find_sketch(options.sketch)
    if options.declared_rate is None:
        return sketch
    # Another rate of the ticks changes the declared one in proportion.
    scale = (options.rate or sketch.tick_rate_hz) / sketch.tick_rate_hz
    return replace(sketch, declared_rate_hz=options.declared_rate / scale)


def _network(options: argparse.Namespace) -> Network:
    if options.network is None:
        return Network.symmetric(LinkDelay(options.delay_ms / 1000, options.jitter_ms / 1000))
    if options.delay_ms or options.jitter_ms:
        raise RequestError("--network has delays of its own; leave --delay-ms and --jitter-ms away")
    return NETWORKS[options.network]


def _serve(
    board: SimulatedBoard | ReplayedBoard, faults: Sequence[Fault], *, until_stdin_ends: bool
) -> None:
    """Run a board until Ctrl-C or SIGTERM, or until the program that started it is gone."""
    ended = threading.Event()

    def wait_for_end_of_stdin() -> None:
        # Not sys.stdin's own reader, whose lock the end of the interpreter would wait for.
        while os.read(sys.stdin.fileno(), 1024):
            _print_line("alive")
        ended.set()

    if until_stdin_ends:
        threading.Thread(target=wait_for_end_of_stdin, name="stdin", daemon=True).start()

    asked_to_end: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        asked_to_end.append(number)  # not ended.set: this thread may hold the lock of the event

    handlers = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with board:
            if isinstance(board, SimulatedBoard):
                board.inject(*faults, await_client=True)
            _print_line(f"a simulated board runs {board.project!r} at {board.url}")
            while not (asked_to_end or ended.wait(SIGNAL_CHECK_S)):
                pass
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="A simulated Bela board: any client of Watcher can connect to it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5555, help="port; 0 takes a free one")
    parser.add_argument("--sketch", default="simulation", choices=SKETCHES, help="what it runs")
    parser.add_argument("--rate", type=float, metavar="HZ", help="ticks per second")
    parser.add_argument(
        "--declared-rate",
        type=float,
        metavar="HZ",
        help="what the sketch tells Watcher instead of its own, as a wrong one",
    )
    parser.add_argument("--drift-ppm", type=float, default=0.0, help="its clock runs fast by this")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="network delay each way")
    parser.add_argument(
        "--jitter-ms", type=float, default=0.0, help="mean of exponential jitter each way"
    )
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        help="delays as over USB, over Wi-Fi, or of a board whose processor is loaded",
    )
    parser.add_argument(
        "--tcp",
        choices=TCP_TIMINGS,
        default="real",
        help=(
            "when control messages leave: with Nagle's algorithm as on a board, with "
            "acknowledgements of clients always 40 ms late, or at once"
        ),
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random")
    parser.add_argument("--replay", metavar="CAPTURE", help="play this recording instead")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast to play it")
    parser.add_argument(
        "--fault",
        metavar="SPEC",
        action="append",
        default=[],
        help=(
            "a fault, as drop-header:p=0.01 or disconnect:at_s=10; may be repeated. "
            "Times count from when the first client is there"
        ),
    )
    parser.add_argument(
        "--list-faults",
        action="store_true",
        help="list the faults, their parameters and ranges, and end",
    )
    parser.add_argument(
        "--until-stdin-ends",
        action="store_true",
        help="end with the program that started it; print a line for each that is read",
    )
    parser.add_argument("--list-sketches", action="store_true", help="list the sketches and end")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
