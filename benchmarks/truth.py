"""Compare stamps with the truth, through real sockets and a real LSL inlet.

The simulated board writes into a double variable the LSL time at which it took each value, so
the error of a sample is its stamp minus its value. Beside it stands the same data stamped on
arrival: each block's last sample gets the time at which the block came, earlier ones are counted
back at the stream's rate, as LSL does it for a chunk that is pushed without stamps.

``python benchmarks/truth.py [--seconds 60] [--only TEXT] [--write docs/timing.md] [--plot PNG]``
prints tables in Markdown. Two conditions are measured at a time; session and board are always in
processes of their own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.simulator.faults.timed_faults import LateBurst, Underrun  # noqa: E402
from bela_module.simulator.network.delays import (  # noqa: E402
    NETWORKS,
    NO_DELAY,
    LinkDelay,
    Network,
)
from bela_module.streams.lsl.lsl_settings import prepare_lsl  # noqa: E402
from benchmarks.marked_text import write_between_marks  # noqa: E402
from benchmarks.other_clients import OTHERS  # noqa: E402
from benchmarks.truth_recording import Condition, measure  # noqa: E402
from benchmarks.truth_report import Result, evaluate, plot, tables  # noqa: E402

_AT_ONCE: Final = 2  # more would only measure how the processes disturb each other


def _alike(delay: LinkDelay) -> Network:
    return Network(delay, delay)


SPIKES: Final = _alike(LinkDelay(jitter_s=0.001, spike_share=0.05, spike_s=0.02))
JITTERS: Final = {
    "none": NO_DELAY,
    "0.3 ms": _alike(LinkDelay(jitter_s=0.0003)),
    "1 ms, spikes": SPIKES,
}

CONDITIONS: Final = (
    *(
        Condition("Jitter and drift", f"{name}, {drift_ppm:+d} ppm", drift_ppm, network)
        for name, network in JITTERS.items()
        for drift_ppm in (-100, 0, 100)
    ),
    Condition("Other rates", "22.05 kHz, 44.1 declared", 50.0, SPIKES, 22050.0, burst_ticks=8),
    Condition("Other rates", "2756.25 Hz, multiplexed", 50.0, SPIKES, 2756.25, burst_ticks=1),
    Condition("Other rates", "96 kHz", 50.0, SPIKES, 96000.0, 96000.0, burst_ticks=32),
    *(
        Condition("Symmetric delay", f"{ms} ms each way", network=_alike(LinkDelay(ms / 1000)))
        for ms in (0.2, 5, 12, 50, 200)
    ),
    *(Condition("Networks", name, 50.0, network) for name, network in NETWORKS.items()),
    Condition("Networks", "bursts of 30 ms", 50.0, _alike(LinkDelay(0.0002, hold_s=0.03))),
    Condition(
        "Networks",
        "100 ms each way, 100 ms of jitter",
        network=_alike(LinkDelay(0.1, jitter_s=0.1)),
    ),
    *(
        Condition("Underruns, every 3 s", f"{ms} ms", 50.0, faults=(Underrun(every_s=3.0, ms=ms),))
        for ms in (0.36, 1.5, 3.6, 36.0)
    ),
    Condition(
        "Bursts rendered late", "up to 30 ms, every s", faults=(LateBurst(every_s=1.0, ms=30.0),)
    ),
    *(Condition("Other clients", name, 50.0, others=name) for name in OTHERS if name),
    *(
        Condition(
            f"Other clients, {ms} ms each way",
            name,
            50.0,
            _alike(LinkDelay(ms / 1000)),
            others=name,
        )
        for ms in (5, 12, 50)
        for name in OTHERS
        if name
    ),
    Condition("Asymmetric delay", "5 ms there", network=Network(to_board=LinkDelay(0.005))),
    Condition("Asymmetric delay", "5 ms back", network=Network(to_client=LinkDelay(0.005))),
)

PLOTTED: Final = "1 ms, spikes, +100 ppm"
PLOT_TITLE: Final = "Error of the stamps: 1 ms of jitter each way, spikes of 20 ms, clock +100 ppm"


def measured(condition: Condition, seconds: float) -> Result:
    """Measure and evaluate a condition, in a process that does nothing else."""
    prepare_lsl(this_machine_only=True)
    return evaluate(measure(condition, seconds))


def run(conditions: Sequence[Condition], seconds: float) -> dict[Condition, Result]:
    """Measure conditions, two at a time; tell on stderr which are done."""
    spawn = multiprocessing.get_context("spawn")
    results: dict[Condition, Result] = {}
    with ProcessPoolExecutor(_AT_ONCE, spawn, max_tasks_per_child=1) as pool:
        futures = [pool.submit(measured, condition, seconds) for condition in conditions]
        for condition, future in zip(conditions, futures, strict=True):
            results[condition] = future.result()
            print(f"{condition.table}: {condition.name}", file=sys.stderr)
    return results


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each condition (60)")
    parser.add_argument("--only", default="", help="conditions whose table or name has this text")
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this file")
    parser.add_argument("--plot", type=Path, help=f"draw the condition {PLOTTED!r}")
    options = parser.parse_args()
    chosen = [c for c in CONDITIONS if options.only in f"{c.table}: {c.name}"]
    shown = [c for c in chosen if c.name == PLOTTED]
    if not chosen or (options.plot is not None and not shown):
        parser.error(f"nothing to measure or plot; there are {[c.name for c in CONDITIONS]}")
    results = run(chosen, options.seconds)
    text = tables(results)
    print(text)
    if options.write is not None:
        write_between_marks(options.write, text, "benchmarks/truth.py")
    if options.plot is not None:
        plot(results[shown[0]].trace, PLOT_TITLE, options.plot)


if __name__ == "__main__":
    main()
