"""Compare ways to estimate a board's clock, on synthetic links where the truth is known.

``python benchmarks/clock_methods.py [--seconds 60] [--runs 6]`` prints two tables in Markdown: the
error of each method's estimate at the moment of each probe, from 10 s on, and what the stamps made
with the chosen one are worth. All methods see the same probes and the same block arrivals.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from bela_module.clock.arrival_filter import MinimumDelayFilter  # noqa: E402
from bela_module.clock.clock_fit import ClockFit, FitConstraints, Probe, fit_clock  # noqa: E402
from tests.support.synthetic_clock import SyntheticLink, record  # noqa: E402

WINDOW_S = 60.0
CONSTRAINTS = FitConstraints(44100.0, 5e-8)
DRIFTS_PPM = (-100.0, 0.0, 100.0)


def both_ways(delay_s: float, **settings: float) -> dict[str, float]:
    """Return a link with the same shortest delay on both ways."""
    return {"base_there_s": delay_s, "base_back_s": delay_s, **settings}


WIFI = {"jitter_s": 0.001, "hold_s": 0.02, "hold_every_s": 0.1, "spike_share": 0.01, "spike_s": 0.1}
LINKS: dict[str, dict[str, float]] = {
    "no jitter": {},
    "0.3 ms": {"jitter_s": 0.0003},
    "1 ms, 5 % spikes": {"jitter_s": 0.001, "spike_share": 0.05},
    "0.2 ms each way": both_ways(0.0002),
    "5 ms": both_ways(0.005),
    "12 ms": both_ways(0.012),
    "50 ms": both_ways(0.05),
    "200 ms": both_ways(0.2),
    "12 ms, 5 ms of jitter": both_ways(0.012, jitter_s=0.005),
    "100 ms, 100 ms of jitter": both_ways(0.1, jitter_s=0.1),
    "bursts of 30 ms": both_ways(0.0003, hold_s=0.03, jitter_s=0.0003),
    "Wi-Fi": both_ways(0.001, **WIFI),
    "Wi-Fi, 10 % lost": both_ways(0.001, **WIFI, loss_share=0.1),
    "loaded: 25 ms, at most 500 ms": both_ways(0.0005, heavy_s=0.0125),
    "5 ms more back": {"base_back_s": 0.0051},
}
UNDERRUNS_MS = (0.36, 1.5, 3.6, 36.0)

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
    """Fit the quarter of round trips that were shortest by least squares."""
    ticks, sent_s, received_s = relative(probes)
    best = np.argsort(received_s - sent_s)[: max(4, len(ticks) // 4)]
    middle_s = (sent_s + received_s) / 2
    return float(np.polyfit(ticks[best] + fit.burst / 2, middle_s[best], 1)[1])


def ntp_filter(probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Take the middle of the shortest of the last eight round trips, as NTP's clock filter does."""
    ticks, sent_s, received_s = relative(probes[-8:])
    best = int(np.argmin(received_s - sent_s))
    middle_s = (sent_s[best] + received_s[best]) / 2
    return float(middle_s - (ticks[best] + fit.burst / 2) / 44100.0)


def dead_band(probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Follow the shortest round trips, but only when they are off by more than 0.5 ms."""
    ticks, sent_s, received_s = relative(probes)
    took_s = received_s - sent_s
    at_zero_s = (sent_s + received_s) / 2 - (ticks + fit.burst / 2) / 44100.0
    offset_s = at_zero_s[0]
    for middle_s in at_zero_s[took_s <= 1.2 * took_s.min()].tolist():
        if abs(middle_s - offset_s) > 0.0005:
            offset_s = middle_s
    return float(offset_s)


def kalman(probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Filter the middles by a Kalman filter on offset and drift; variance by the round trip."""
    ticks, sent_s, received_s = relative(probes)
    at_s = (ticks + fit.burst / 2) / 44100.0
    measured = (sent_s + received_s) / 2 - at_s
    variance = ((received_s - sent_s) ** 2 + (fit.burst / 44100.0) ** 2) / 12.0
    state, spread = np.array([measured[0], 0.0]), np.diag([variance[0], 3e-4**2])
    for number in range(1, len(at_s)):
        step_s = at_s[number] - at_s[number - 1]
        move = np.array([[1.0, step_s], [0.0, 1.0]])
        state = move @ state
        spread = move @ spread @ move.T + np.diag([0.0, (5e-8 * step_s) ** 2])
        gain = spread[:, 0] / (spread[0, 0] + variance[number])
        state = state + gain * (measured[number] - state[0])
        spread = spread - np.outer(gain, spread[0])
    return float(state[0] - at_s[-1] * state[1])


def middle(_probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Take the middle of what all bounds allow at the newest tick."""
    lowest, highest = fit.lines.limits_at(np.zeros(1))
    return float(lowest[0] + highest[0]) / 2


def widest_gap(_probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Take the line with the largest distance to the nearest bound on both sides."""
    best = np.argmax(fit.lines.highest - fit.lines.lowest)
    return float(fit.lines.highest[best] + fit.lines.lowest[best]) / 2


def likeliest(_probes: list[Probe], _arrivals: MinimumDelayFilter, fit: ClockFit) -> float:
    """Weigh what all bounds allow by the likelihood of probes and arrivals: the method in use."""
    return fit.offset_s


METHODS: dict[str, Method] = {
    "mean of round trips": mean_fit,
    "shortest round trips, line": shortest_fit,
    "NTP's clock filter": ntp_filter,
    "shortest round trips, dead band": dead_band,
    "Kalman, offset and drift": kalman,
    "bounds, middle": middle,
    "bounds, widest gap": widest_gap,
    "**bounds, likelihood**": likeliest,
}


def spacings_s(count: int) -> float:
    """Return how long to wait after a probe: quick first, never even."""
    return (0.015 if count < 20 else 0.23) * (0.7 + 0.6 * (count * 0.618034 % 1.0))


def errors_us(link: SyntheticLink, seconds: float) -> dict[str, list[float]]:
    """Return each method's errors at the probes of one run, from 10 s on."""
    probes: list[Probe] = []
    arrivals = MinimumDelayFilter()
    errors: dict[str, list[float]] = {name: [] for name in [*METHODS, "arrival of the block"]}
    for event in link.play(seconds, lambda: spacings_s(len(probes))):
        late = event.at_s > link.start_s + 11.0
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
    names = [*METHODS, "arrival of the block"]
    print("| median / p99 in µs | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    for link_name, settings in LINKS.items():
        joined: dict[str, list[float]] = {}
        for seed in range(runs):
            link = SyntheticLink(seed=seed, drift_ppm=DRIFTS_PPM[seed % 3], **settings)
            for name, values in errors_us(link, seconds).items():
                joined.setdefault(name, []).extend(values)
        cells = [
            f"{np.median(size_us):.0f} / {np.percentile(size_us, 99):.0f}"
            for size_us in (np.abs(joined[name]) for name in names)
        ]
        print(f"| {link_name} | " + " | ".join(cells) + " |", flush=True)


def stamp_table(seconds: float, runs: int) -> None:
    """Print what the stamps are worth: error, stated uncertainty, share inside, readiness."""
    heads = ("median", "p99", "max", "stated", "inside", "ready after", "and stated then", "jumps")
    print("| stamps, µs | " + " | ".join(heads) + " |")
    print("|---" * (len(heads) + 1) + "|")
    underruns = {
        f"underruns of {lag_ms:g} ms every 3 s{name}": {
            "underrun_s": lag_ms / 1e3,
            "jitter_s": jitter_s,
        }
        for lag_ms in UNDERRUNS_MS
        for name, jitter_s in (("", 0.0), (", 0.3 ms", 0.0003))
    }
    late = {"bursts rendered up to 30 ms late": {"late_s": 0.03}}
    for name, settings in {**LINKS, **late, **underruns}.items():
        found = [
            record(SyntheticLink(seed=seed, drift_ppm=DRIFTS_PPM[seed % 3], **settings), seconds)
            for seed in range(runs)
        ]
        error_us = np.concatenate([run.late() for run in found]) * 1e6
        stated_us = np.concatenate([run.uncertainty_s for run in found]) * 1e6
        share = np.mean(np.concatenate([abs(run.error_s) <= run.uncertainty_s for run in found]))
        ready_s = max(run.ready_s for run in found)
        ready_ms = max(run.ready_uncertainty_s for run in found) * 1e3
        jumps = sum(run.clock.discontinuities for run in found) / runs
        print(
            f"| {name} | {np.median(error_us):.0f} | {np.percentile(error_us, 99):.0f} "
            f"| {error_us.max():.0f} | {np.median(stated_us):.0f} | {share:.2%} "
            f"| {ready_s:.2f} s | {ready_ms:.1f} ms | {jumps:g} |",
            flush=True,
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
