"""Measure a closed loop: from a decoder's sample to its effect on the board, and back at an inlet.

Board, module, decoder and inlets are processes of their own. The decoder pushes numbered samples;
an input of the module sends each to the sketch, which copies its number to a sparse variable. The
simulated board knows when that really was. Beside it, in the same run, a plain outlet of the
decoder's process and an inlet show what LSL takes by itself. 8 analog and 2 audio streams of
44.1 kHz are the load.

``python benchmarks/closed_loop.py [--seconds 30] [--long 600] [--only loop,delay,long,flood]
[--write docs/closed-loop.md] [--plot assets/closed-loop.png]`` prints tables in Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.closed_loop_processes import (  # noqa: E402
    FLOOD_HZ,
    decode,
    receive,
    run_module,
    serve_board,
)
from benchmarks.marked_text import write_between_marks  # noqa: E402
from benchmarks.prompt_values import running  # noqa: E402

BLOCK_S: Final = 16 / 44100
COMMANDS_HZ: Final = 100.0
LONG_HZ: Final = 1000.0
DELAY_S: Final = 0.005
_RESOLVE_S: Final = 20.0
_SETTLE_S: Final = 3.0
_TAIL_S: Final = 1.5
_LSL: Final = """[log]
level = -2
[lab]
SessionID = {session}
KnownPeers = {{127.0.0.1}}
[multicast]
ResolveScope = machine
[ports]
IPv6 = disable
PortRange = 200
"""


# ---- measurements --------------------------------------------------------------------------------


@dataclass(slots=True)
class Run:
    """What one run gave; delays in seconds, of one command each."""

    lsl_s: np.ndarray
    one_way_s: np.ndarray
    """From the decoder's stamp to the true time of the effect."""
    stated_s: np.ndarray
    """The same as ``bela_loop`` says."""
    uncertainty_s: np.ndarray
    in_lsl_s: np.ndarray
    """From the decoder's stamp until the echo was given to LSL."""
    round_trip_s: np.ndarray
    """From the decoder's stamp until the echo was at an inlet."""
    pushed: int = 0
    flooded: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    rss_mib: list[float] = field(default_factory=list)
    cpu_share: float = 0.0


@contextmanager
def lsl_apart() -> Iterator[None]:
    """Keep LSL on this computer, apart from all others."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "lsl_api.cfg"
        config.write_text(_LSL.format(session=uuid.uuid4().hex), encoding="utf-8")
        os.environ["LSLAPICFG"] = str(config)
        yield


def measure(
    seconds: float, *, rate_hz: float = COMMANDS_HZ, delay_s: float = 0.0, floods: bool = False
) -> Run:
    """Run a loop for some seconds."""
    prefix = f"loop{uuid.uuid4().hex[:6]}_"
    with ExitStack() as stack:
        _, board, port = stack.enter_context(running(serve_board, delay_s))
        # The decoder is there before START, so that the module finds it at once.
        _, decoder, _ = stack.enter_context(running(decode, prefix, rate_hz, seconds, floods))
        process, module, _ = stack.enter_context(running(run_module, port, prefix))
        _, inlets, _ = stack.enter_context(running(receive, prefix))
        _await_inputs(module)
        time.sleep(_SETTLE_S)
        watched = psutil.Process(process.pid)
        cpu = watched.cpu_times()
        began_s = time.monotonic()
        decoder.send("begin")
        rss_mib: list[float] = []
        while not decoder.poll(max(seconds / 20, 1.0)):
            rss_mib.append(watched.memory_info().rss / 2**20)
        stamps_s, n_flooded = decoder.recv()
        after = watched.cpu_times()
        used_s = after.user + after.system - cpu.user - cpu.system
        share = used_s / (time.monotonic() - began_s)
        time.sleep(_TAIL_S)
        module.send("status")
        status = module.recv()
        inlets.send("end")
        received = inlets.recv()
        module.send("end")
        process.join(20)
        board.send("end")
        effects_s, rows = board.recv()
        decoder.send("end")
    run = _join(stamps_s, effects_s, rows, received)
    run.pushed, run.flooded, run.status = len(stamps_s), n_flooded, status
    run.rss_mib, run.cpu_share = rss_mib, share
    return run


def _await_inputs(module: Connection) -> None:
    until_s = time.monotonic() + _RESOLVE_S
    while True:
        module.send("status")
        states = [one["state"] for one in module.recv()["inputs"]]
        if set(states) == {"receiving"}:
            return
        if time.monotonic() > until_s:
            raise TimeoutError(f"the inputs do not receive: {states}")
        time.sleep(0.1)


def _join(
    stamps_s: Sequence[float],
    effects_s: Sequence[float],
    rows: Sequence[tuple[int, int]],
    received: dict[str, list[tuple[float, ...]]],
) -> Run:
    """Put together what the processes know of each command."""
    arrived_s = {int(row[2]): row[0] for row in received["echo"]}
    stated = {int(row[2]): row for row in received["loop"]}
    table: list[tuple[float, ...]] = []
    for effect_s, (number, k) in zip(effects_s, rows, strict=True):
        if number not in arrived_s or number not in stated:
            continue
        _, _, _, one_way_s, uncertainty_s, in_lsl_s, *_ = stated[number]
        table.append(
            (
                effect_s - stamps_s[k],
                one_way_s,
                uncertainty_s,
                in_lsl_s,
                arrived_s[number] - stamps_s[k],
            )
        )
    columns = np.array(table).reshape(-1, 5).T
    plain_s = np.array([row[0] - row[2] for row in received["plain"]])
    return Run(plain_s, *columns)


# ---- tables --------------------------------------------------------------------------------------


def _p(values_s: np.ndarray) -> str:
    p50, p99, longest = np.percentile(1e3 * values_s, [50, 99, 100])
    return f"{p50:.2f} | {p99:.2f} | {longest:.2f}"


def delays_table(runs: dict[str, Run]) -> str:
    """Make the table of the delays, with what they may be."""
    lines = ["| | p50 ms | p99 ms | max ms | n |", "|---|---:|---:|---:|---:|"]
    for title, run in runs.items():
        parts = {
            "LSL alone: push → pull": run.lsl_s,
            "input stamp → effect on the board": run.one_way_s,
            "input stamp → echo given to LSL": run.in_lsl_s,
            "input stamp → echo at an inlet": run.round_trip_s,
        }
        lines.append(f"| **{title}** | | | | |")
        lines += [f"| {name} | {_p(values)} | {values.size} |" for name, values in parts.items()]
    return "\n".join(lines)


def verdicts(run: Run) -> list[str]:
    """Compare a run without delays with what the loop is to keep."""
    lsl50, lsl99 = np.percentile(run.lsl_s, [50, 99])
    way50, way99 = np.percentile(run.one_way_s, [50, 99])
    trip50 = np.percentile(run.round_trip_s, 50)
    wanted = [
        ("effect, p50", way50, lsl50 + 0.0015, "LSL + 1.5 ms"),
        ("effect, p99", way99, lsl99 + BLOCK_S + 0.004, "LSL + one audio block + 4 ms"),
        ("round trip, p50", trip50, 2 * lsl50 + 0.003, "2 LSL + 3 ms"),
    ]
    return [
        f"- {name}: {1e3 * value:.2f} ms, at most {1e3 * limit:.2f} ({rule}): "
        f"{'kept' if value <= limit else 'NOT KEPT'}"
        for name, value, limit, rule in wanted
    ]


def truth_line(title: str, run: Run) -> str:
    """Say how far the stated one-way delays are from the truth."""
    error_s = np.abs(run.stated_s - run.one_way_s)
    inside = error_s <= run.uncertainty_s
    return (
        f"- {title}: stated one-way delays are off by {1e6 * np.median(error_s):.0f} µs in the "
        f"median, {1e6 * error_s.max():.0f} at most; {inside.sum()} of {inside.size} within the "
        f"stated uncertainty of {1e6 * np.median(run.uncertainty_s):.0f} µs (median)"
    )


def account_line(title: str, run: Run) -> str:
    """Say what became of all samples and commands."""
    one = next(found for found in run.status["inputs"] if found["name"] == "level")
    loop = one["loop"]
    lost = sum(stream["lost"] for stream in run.status["streams"])
    first, last = run.rss_mib[len(run.rss_mib) // 5], run.rss_mib[-1]
    counted = one["sent"] + one["dropped"] + one["refused"]
    return (
        f"- {title}: {run.pushed} samples pushed, {one['samples']} came, {counted} counted "
        f"({one['sent']} sent, {one['dropped']} dropped); of the commands {loop['echoed']} took "
        f"effect, {loop['superseded']} were superseded within an audio block, {loop['lost']} lost, "
        f"{loop['doubled']} doubled, {loop['unmeasured'] + loop['outstanding']} not measured; "
        f"{lost} values of the other streams lost; memory {first:.1f} → {last:.1f} MiB, "
        f"{100 * run.cpu_share:.0f} % of a core"
    )


def flood_line(run: Run) -> str:
    """Say what the flood cost."""
    flood = next(found for found in run.status["inputs"] if found["name"] == "flood")
    return (
        f"- the flood: {run.flooded} samples pushed, {flood['samples']} came, {flood['sent']} sent "
        f"({flood['sent'] / run.flooded * FLOOD_HZ:.0f} a second), {flood['dropped']} dropped"
    )


def plot(run: Run, path: Path) -> None:
    """Draw the way of a command and back, with the measured times."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    lsl = np.percentile(1e3 * run.lsl_s, [50, 99])
    stations = [
        ("decoder", "pushes a sample", np.zeros(2)),
        ("dp-bela", "has it from LSL", lsl),
        ("board", "it takes effect", np.percentile(1e3 * run.one_way_s, [50, 99])),
        ("dp-bela", "gives the echo to LSL", np.percentile(1e3 * run.in_lsl_s, [50, 99])),
        ("any program", "has the echo", np.percentile(1e3 * run.round_trip_s, [50, 99])),
    ]
    figure, axes = plt.subplots(figsize=(8.4, 3.2), constrained_layout=True)
    rows = np.arange(len(stations))[::-1]
    p50 = [one[2][0] for one in stations]
    axes.plot(p50, rows, "-", color="0.7", zorder=1)
    for row, (who, what, (at, late)) in zip(rows, stations, strict=True):
        axes.hlines(row, at, late, color="C0", alpha=0.35, lw=6)
        axes.plot(at, row, "o", color="C0", ms=8)
        figures = "" if late == 0 else f"  {at:.2f} ms (p99 {late:.2f})"
        axes.annotate(f"{what}{figures}", (max(at, late), row), (8, -3), textcoords="offset points")
        axes.text(-0.02, row, who, ha="right", va="center", transform=axes.get_yaxis_transform())
    axes.set(xlabel="ms after the stamp of the sample", yticks=[], ylim=(-0.6, len(stations) - 0.4))
    axes.set_xlim(-0.1, 1.9 * max(one[2][1] for one in stations))
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--long", type=float, default=600.0)
    parser.add_argument("--only", default="loop,delay,long,flood")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    chosen = options.only.split(",")
    runs: dict[str, Run] = {}
    lines: list[str] = []
    with lsl_apart():
        if "loop" in chosen:
            title = f"no delay, {COMMANDS_HZ:.0f} commands/s"
            runs[title] = run = measure(options.seconds)
            lines += [*verdicts(run), truth_line(title, run), account_line(title, run)]
            if options.plot:
                plot(run, options.plot)
        if "delay" in chosen:
            title = f"{1e3 * DELAY_S:.0f} ms each way"
            runs[title] = run = measure(options.seconds, delay_s=DELAY_S)
            lines += [truth_line(title, run), account_line(title, run)]
        if "flood" in chosen:
            title = f"beside a decoder that pushes {FLOOD_HZ / 1000:.0f} kHz"
            runs[title] = run = measure(options.seconds, floods=True)
            lines += [account_line(title, run), flood_line(run)]
        if "long" in chosen:
            title = f"{LONG_HZ:.0f} commands/s for {options.long:.0f} s"
            run = measure(options.long, rate_hz=LONG_HZ)
            lines.append(account_line(title, run))
    text = "\n\n".join([delays_table(runs)] * bool(runs) + ["\n".join(lines)])
    sys.stdout.write(f"{text}\n")
    if options.write:
        write_between_marks(options.write, text, "benchmarks/closed_loop.py")


if __name__ == "__main__":
    main()
