"""A board's clock and the way to it, in synthetic time: what the clock is told, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Event(NamedTuple):
    """Something that reached the host: a probe's reply, or a block of which `tick` is the last."""

    at_s: float
    sent_s: float  # NaN for a block
    tick: int

    @property
    def is_probe(self) -> bool:
        return not np.isnan(self.sent_s)


@dataclass
class SyntheticLink:
    """A board whose ticks come in bursts, behind a network that delays."""

    rate_hz: float = 44100.0
    drift_ppm: float = 0.0
    burst: int = 16
    jitter_s: float = 0.0
    spike_share: float = 0.0
    spike_s: float = 0.02
    base_there_s: float = 0.0001
    base_back_s: float = 0.0001
    block_ticks: int = 1024
    start_s: float = 1000.0
    first_tick: int = 0
    thermal_ppm: float = 0.0
    thermal_period_s: float = 600.0
    seed: int = 1
    silence: tuple[float, float] = (np.inf, np.inf)
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._true_hz = self.rate_hz * (1 + self.drift_ppm * 1e-6)

    def true_time_s(self, ticks: np.ndarray | int) -> np.ndarray | float:
        """When ticks happened, by the convention that a burst's last tick is at the burst."""
        elapsed = (ticks - self.first_tick) / self._true_hz
        turn = 2 * np.pi / self.thermal_period_s
        return (
            self.start_s + elapsed + self.thermal_ppm * 1e-6 / turn * (1 - np.cos(turn * elapsed))
        )

    def tick_by(self, at_s: float) -> int:
        """The tick that the board would tell at a time."""
        tick = (at_s - self.start_s) * self._true_hz
        for _ in range(3):
            off = float(self.true_time_s(self.first_tick + tick)) - at_s
            tick -= off * self._true_hz
        return self.first_tick + int(tick // self.burst) * self.burst

    def _delay_s(self, base_s: float) -> float:
        delay = base_s
        if self.jitter_s:
            delay += self._rng.exponential(self.jitter_s)
        if self.spike_share and self._rng.random() < self.spike_share:
            delay += self.spike_s
        return delay

    def probe(self, sent_s: float) -> Event:
        read_s = sent_s + self._delay_s(self.base_there_s)
        return Event(read_s + self._delay_s(self.base_back_s), sent_s, self.tick_by(read_s))

    def _blocks(self) -> Iterator[Event]:
        last, before_s = self.tick_by(self.start_s + 1.0), 0.0
        while self.block_ticks:
            last += self.block_ticks
            over = self.first_tick - (self.first_tick - last) // self.burst * self.burst
            at_s = max(before_s, float(self.true_time_s(over)) + self._delay_s(self.base_back_s))
            yield Event(at_s, np.nan, last)
            before_s = at_s

    def play(self, duration_s: float, next_probe_in_s: Callable[[], float]) -> Iterator[Event]:
        """Yield what arrives within a time, in order; the spacing is asked after each reply."""
        end_s = self.start_s + 1.0 + duration_s
        blocks = self._blocks()
        block = next(blocks, None)
        sent_s = self.start_s + 1.0
        while sent_s < end_s:
            probe = self.probe(sent_s)
            while block is not None and block.at_s < min(probe.at_s, end_s):
                yield block
                block = next(blocks, None)
            if not self.silence[0] <= sent_s - self.start_s - 1.0 < self.silence[1]:
                yield probe
            sent_s = probe.at_s + next_probe_in_s()
