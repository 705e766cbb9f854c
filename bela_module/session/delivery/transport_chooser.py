"""Chooses which streams come as single values and which in blocks, by measured rates. Pure.

The limits and their cost are in ``docs/decisions/0009-single-values.md``.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bela_module.session.delivery.time_limits import RATE_WINDOW_S, SINGLE_AGAIN_S

LIMIT_HZ: Final = 500.0
"""Values a second of one variable above which it comes in blocks."""

BOARD_LIMIT_HZ: Final = 1200.0
"""Single values a second of all variables together above which the fastest come in blocks."""

_RETURN: Final = 0.5
"""A stream comes singly again below this part of the limits."""


def choose_first(rates_hz: Mapping[str, float | None]) -> set[str]:
    """Choose which streams begin with single values.

    Parameters
    ----------
    rates_hz : mapping of str to float or None
        Values a second of each stream; ``None`` when not known: such are slow ones, or irregular
        ones that show their rate.

    Returns
    -------
    set of str
        Names of streams.
    """
    chosen = {name for name, rate_hz in rates_hz.items() if rate_hz is None}
    known = sorted((rate_hz, name) for name, rate_hz in rates_hz.items() if rate_hz is not None)
    total_hz = 0.0
    for rate_hz, name in known:
        total_hz += rate_hz
        if rate_hz > LIMIT_HZ or total_hz > BOARD_LIMIT_HZ:
            break
        chosen.add(name)
    return chosen


@dataclass(frozen=True, slots=True)
class Observed:
    """What has come of one stream.

    Parameters
    ----------
    n_singles : int
        Single values so far, whatever became of them.
    block_values : int
        Values that a block of one of its variables holds, the largest.
    last_block_s : float
        When its last block came; -infinity for never.
    is_single : bool
        Whether it comes singly now.
    may_be_single : bool
        Whether it may.
    """

    n_singles: int
    block_values: int
    last_block_s: float
    is_single: bool
    may_be_single: bool = True


@dataclass(slots=True)
class _History:
    looks: deque[tuple[float, int]] = field(default_factory=deque)
    since_s: float = -math.inf
    n_demoted: int = 0

    def rate_hz(self, now_s: float, n_singles: int) -> float:
        """Return the rate of single values over the last half second, never too high at first."""
        self.looks.append((now_s, n_singles))
        while len(self.looks) > 2 and self.looks[1][0] <= now_s - RATE_WINDOW_S:
            self.looks.popleft()
        first_s, first = self.looks[0]
        return (n_singles - first) / max(now_s - first_s, RATE_WINDOW_S)


@dataclass(frozen=True, slots=True)
class Changes:
    """Which streams are to change."""

    to_blocks: Mapping[str, float] = field(default_factory=dict)
    """With the measured rate of each."""
    to_singles: tuple[str, ...] = ()


@dataclass(slots=True)
class TransportChooser:
    """Looks some times a second at what comes, and says what is to come otherwise."""

    _histories: dict[str, _History] = field(default_factory=dict)

    def begin(self, names: Iterable[str], now_s: float) -> None:
        """Begin with some streams, as on every connection."""
        for name in names:
            history = self._histories.setdefault(name, _History())
            history.looks.clear()
            history.looks.append((now_s, 0))
            history.since_s = max(history.since_s, now_s)

    def look(
        self,
        observed: Mapping[str, Observed],
        now_s: float,
        too_fast: Mapping[str, float] | None = None,
    ) -> Changes:
        """Compare the rates with the limits.

        Parameters
        ----------
        observed : mapping of str to Observed
            What has come of each stream.
        now_s : float
            The present time.
        too_fast : mapping of str to float, optional
            Streams that were found too fast before, and their rates.
        """
        rates_hz = {
            name: self._histories[name].rate_hz(now_s, one.n_singles)
            for name, one in observed.items()
            if one.is_single
        }
        to_blocks = {name: hz for name, hz in (too_fast or {}).items() if name in observed}
        total_hz = sum(rates_hz.values())
        for name, rate_hz in sorted(rates_hz.items(), key=lambda item: -item[1]):
            if not observed[name].may_be_single or rate_hz > LIMIT_HZ or total_hz > BOARD_LIMIT_HZ:
                to_blocks[name] = rate_hz
                total_hz -= rate_hz
        for name in to_blocks:
            self.note_fast(name, now_s)
        return Changes(to_blocks, self._to_singles(observed, total_hz, now_s))

    def note_fast(self, name: str, now_s: float) -> None:
        """Learn that a stream is too fast to come singly: it stays in blocks for a while."""
        history = self._histories[name]
        history.n_demoted += 1
        history.looks.clear()
        history.since_s = now_s + SINGLE_AGAIN_S * 2.0 ** min(history.n_demoted - 1, 6)

    def may_try(self, name: str, now_s: float) -> bool:
        """Tell whether a stream in blocks has been there for as long as it has to."""
        return now_s > self._histories[name].since_s

    def _to_singles(
        self, observed: Mapping[str, Observed], total_hz: float, now_s: float
    ) -> tuple[str, ...]:
        """Find streams that would have sent a block by now if they were fast."""
        found: list[str] = []
        for name, one in observed.items():
            since_s = max(self._histories[name].since_s, one.last_block_s)
            if one.is_single or not one.may_be_single or now_s <= since_s:
                continue
            at_most_hz = one.block_values / (now_s - since_s)
            if at_most_hz > _RETURN * LIMIT_HZ or total_hz + at_most_hz > BOARD_LIMIT_HZ:
                continue
            total_hz += at_most_hz
            found.append(name)
            self._histories[name].looks.clear()
            self._histories[name].looks.append((now_s, one.n_singles))
        return tuple(found)
