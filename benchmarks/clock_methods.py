"""Compare ways to estimate a board's clock, on synthetic links where the truth is known.

``python benchmarks/clock_methods.py [--seconds 60] [--runs 6]`` prints two tables in Markdown: the
error of each method's estimate at the moment of each probe, from 5 s on, and what the stamps made
with the chosen one are worth. All methods see the same probes and the same block arrivals.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.clock.arrival_filter import MinimumDelayFilter  # noqa: E402
from bela_module.clock.clock_fit import ClockFit, FitConstraints, Probe, fit_clock  # noqa: E402
from bela_module.clock.likelihood import likeliest_line  # noqa: E402
from tests.support.synthetic_clock import SyntheticLink, record  # noqa: E402

WINDOW_S = 60.0
CONSTRAINTS = FitConstraints(44100.0, 5e-8)
DRIFTS_PPM = (-100.0, 0.0, 100.0)
LINKS: dict[str, dict[str, float]] = {
    "no jitter": {},
    "0.3 ms": {"jitter_s": 0.0003},
    "1 ms, 5 % spikes": {"jitter_s": 0.001, "spike_share": 0.05},
    "1 ms, 2 ms more on the way back": {"jitter_s": 0.001, "base_back_s": 0.0021},
}

Method = Callable[[list[Probe], MinimumDelayFilter, ClockFit], float]


def relative(probes: list[Probe]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ticks, sending and receiving times relative to the newest probe."""
    newest = probes[-1]
    columns = [
        (p.tick - newest.tick, p.sent_s - newest.received_s, p.received_s - newest.received_s)
        for p in probes
    ]
    ticks, sent_s, received_s = np.array(columns).T
    return ticks, sent_s, received_s


def mean_fit(probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Fit the middles of all round trips by least squares."""
    ticks, sent_s, received_s = relative(probes)
    return float(np.polyfit(ticks + fit.burst / 2, (sent_s + received_s) / 2, 1)[1])


def shortest_fit(probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Fit the quarter of round trips that were shortest by least squares, as NTP would."""
    ticks, sent_s, received_s = relative(probes)
    best = np.argsort(received_s - sent_s)[: max(4, len(ticks) // 4)]
    middle_s = (sent_s + received_s) / 2
    return float(np.polyfit(ticks[best] + fit.burst / 2, middle_s[best], 1)[1])


def middle(_probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Take the middle of what all bounds allow at the newest tick."""
    lowest, highest = fit.lines.limits_at(np.zeros(1))
    return float(lowest[0] + highest[0]) / 2


def widest_gap(_probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Take the line with the largest distance to the nearest bound on both sides."""
    best = np.argmax(fit.lines.highest - fit.lines.lowest)
    return float(fit.lines.highest[best] + fit.lines.lowest[best]) / 2


def likeliest_of_probes(probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Weigh what all bounds allow by the likelihood of the probes alone."""
    ticks, sent_s, received_s = relative(probes)
    none = np.empty((0, 2))
    return likeliest_line(fit.lines, ticks, sent_s, received_s, fit.burst, none)[0]


def likeliest(_probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Weigh it by the likelihood of probes and arrivals: the method in use."""
    return fit.offset_s


METHODS: dict[str, Method] = {
    "mean of round trips": mean_fit,
    "shortest round trips": shortest_fit,
    "bounds, middle": middle,
    "bounds, widest gap": widest_gap,
    "bounds, likelihood of probes": likeliest_of_probes,
    "**bounds, likelihood of probes and arrivals**": likeliest,
}


def spacings_s(count: int) -> float:
    """Return how long to wait after a probe: quick first, never even."""
    return (0.015 if count < 20 else 0.23) * (0.7 + 0.6 * (count * 0.618034 % 1.0))


def errors_us(link: SyntheticLink, seconds: float) -> dict[str, list[float]]:
    """Return each method's errors at the probes of one run, from 5 s on."""
    probes: list[Probe] = []
    arrivals = MinimumDelayFilter()
    errors: dict[str, list[float]] = {name: [] for name in [*METHODS, "arrival of the block"]}
    for event in link.play(seconds, lambda: spacings_s(len(probes))):
        late = event.at_s > link.start_s + 6.0
        truth_s = float(link.true_time_s(event.tick))
        if not event.is_probe:
            delay_s = event.at_s - event.tick / link.rate_hz
            if arrivals.would_keep(event.at_s, delay_s):
                arrivals.keep(event.tick, event.at_s, delay_s)
            if late:
                errors["arrival of the block"].append((event.at_s - truth_s) * 1e6)
            continue
        probes.append(Probe(event.sent_s, event.at_s, event.tick, 1))
        while probes[0].received_s < event.at_s - WINDOW_S:
            del probes[0]
        if late:
            fit = fit_clock(probes, arrivals, CONSTRAINTS)
            for name, method in METHODS.items():
                error_s = method(probes, arrivals, fit) - (truth_s - fit.base_s)
                errors[name].append(error_s * 1e6)
    return errors


def method_table(seconds: float, runs: int) -> None:
    """Print median and 99th percentile of the absolute error of each method on each link."""
    found: dict[str, list[str]] = {}
    for settings in LINKS.values():
        joined: dict[str, list[float]] = {}
        for seed in range(runs):
            link = SyntheticLink(seed=seed, drift_ppm=DRIFTS_PPM[seed % 3], **settings)
            for name, values in errors_us(link, seconds).items():
                joined.setdefault(name, []).extend(values)
        for name, values in joined.items():
            size_us = np.abs(values)
            cell = f"{np.median(size_us):.0f} / {np.percentile(size_us, 99):.0f}"
            found.setdefault(name, []).append(cell)
    print("| method: median / p99 in µs | " + " | ".join(LINKS) + " |")
    print("|---|" + "---|" * len(LINKS))
    for name, cells in found.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


def stamp_table(seconds: float, runs: int) -> None:
    """Print what the stamps are worth: error, stated uncertainty, share inside, cost."""
    print("| stamps, µs | median | p99 | max | stated (median) | inside | ms per probe |")
    print("|---|---|---|---|---|---|---|")
    for name, settings in LINKS.items():
        links = [
            SyntheticLink(seed=seed, drift_ppm=DRIFTS_PPM[seed % 3], **settings)
            for seed in range(runs)
        ]
        begun_s = time.perf_counter()
        records = [record(link, seconds) for link in links]
        n_probes = sum(run.verdicts.total() for run in records)
        cost_ms = (time.perf_counter() - begun_s) / n_probes * 1e3
        error_us = np.concatenate([run.late() for run in records]) * 1e6
        stated_us = np.concatenate([run.uncertainty_s for run in records]) * 1e6
        share = np.mean([run.share_inside for run in records])
        print(
            f"| {name} | {np.median(error_us):.0f} | {np.percentile(error_us, 99):.0f} "
            f"| {error_us.max():.0f} | {np.median(stated_us):.0f} | {share:.2%} | {cost_ms:.1f} |"
        )


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a run (60)")
    parser.add_argument("--runs", type=int, default=6, help="runs per link (6)")
    options = parser.parse_args()
    method_table(options.seconds, options.runs)
    print()
    stamp_table(options.seconds, options.runs)


if __name__ == "__main__":
    main()
