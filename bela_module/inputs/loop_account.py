"""Account of commands to a board and their echoes: delays, what was lost or doubled. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import numpy as np

LAST_NUMBER: Final = 2**24
"""Greatest sequence number, after which 1 follows: a ``float`` holds every integer up to it."""

_MAX_OUTSTANDING: Final = 65_536
_MAX_CLOSED: Final = 8192
_MAX_DELAYS: Final = 10_000


def next_number(number: int) -> int:
    """Return the sequence number after one."""
    return number % LAST_NUMBER + 1


@dataclass(frozen=True, slots=True)
class LoopSample:
    """One command that took effect.

    Parameters
    ----------
    number : int
        Its sequence number.
    effect_s : float
        When it took effect on the board, in LSL seconds.
    one_way_s : float
        From the stamp of its input to that time.
    uncertainty_s : float
        How far that time can be from the truth.
    round_trip_s : float
        From the stamp of its input until its echo was given to LSL.
    """

    number: int
    effect_s: float
    one_way_s: float
    uncertainty_s: float
    round_trip_s: float


class _Outcome(Enum):
    ECHOED = auto()
    SUPERSEDED = auto()
    LOST = auto()
    UNMEASURED = auto()


@dataclass(frozen=True, slots=True)
class _Command:
    stamp_s: float
    sent_s: float
    connection: int


@dataclass(slots=True)
class LoopAccount:
    """Follows each command from its input to its echo.

    Commands of one connection arrive in their order. So an echo proves that those sent before it on
    the same connection had arrived, and that the sketch did not see them: a later one came within
    the same audio block. They are *superseded*. Across a reconnect, or with echoes missing, nobody
    can tell: those without an echo are *lost*. Before the first echo since :meth:`begin` nothing is
    known to be watched: those are *unmeasured*.

    Attributes
    ----------
    sent, echoed, superseded, lost, unmeasured : int
        Commands that were sent, and what became of them; the others are still outstanding.
    doubled : int
        Echoes that came again.
    foreign : int
        Echoes of commands that were never sent from here.
    unanswered : int
        Commands that had no echo in time, since the echo is watched, while none had one.
    """

    sent: int = 0
    echoed: int = 0
    superseded: int = 0
    lost: int = 0
    unmeasured: int = 0
    doubled: int = 0
    foreign: int = 0
    unanswered: int = 0
    _outstanding: OrderedDict[int, _Command] = field(default_factory=OrderedDict)
    _closed: OrderedDict[int, tuple[_Command, _Outcome]] = field(default_factory=OrderedDict)
    _connection: int = 0
    _is_beginning: bool = True
    _echoes_missing: bool = False
    _one_way_s: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_DELAYS))
    _round_trip_s: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_DELAYS))

    @property
    def outstanding(self) -> int:
        """Commands of which nothing is known yet."""
        return len(self._outstanding)

    def note_sent(self, number: int, stamp_s: float, sent_s: float) -> None:
        """Count a command that was sent: its number, the stamp of its input, and when."""
        self.sent += 1
        self._outstanding[number] = _Command(stamp_s, sent_s, self._connection)
        if len(self._outstanding) > _MAX_OUTSTANDING:
            self._close(next(iter(self._outstanding)), _Outcome.LOST)

    def begin(self) -> None:
        """Learn that the echo is watched again, or no more: what is outstanding is not measured."""
        for number in list(self._outstanding):
            self._close(number, _Outcome.UNMEASURED)
        self._is_beginning = True
        self.unanswered = 0

    def note_disconnected(self) -> None:
        """Learn that the connection ended: what was sent on it may not have arrived."""
        self._connection += 1

    def note_missing_echoes(self) -> None:
        """Learn that echoes were lost on their way."""
        self._echoes_missing = True

    def note_echoes(
        self,
        numbers: Sequence[int],
        effects_s: Sequence[float],
        uncertainty_s: float,
        now_s: float,
    ) -> list[LoopSample]:
        """Take echoes in the order of their times on the board.

        Parameters
        ----------
        numbers : sequence of int
            Sequence numbers.
        effects_s : sequence of float
            When each was assigned on the board, in LSL seconds.
        uncertainty_s : float
            How far these times can be from the truth.
        now_s : float
            The present time, at which they are given to LSL.

        Returns
        -------
        list of LoopSample
            Those that belong to commands of this account, and are no repetitions.
        """
        samples: list[LoopSample] = []
        for number, effect_s in zip(numbers, effects_s, strict=True):
            command = self._take(number)
            if command is None:
                continue
            one_way_s, round_trip_s = effect_s - command.stamp_s, now_s - command.stamp_s
            self._one_way_s.append(one_way_s)
            self._round_trip_s.append(round_trip_s)
            samples.append(LoopSample(number, effect_s, one_way_s, uncertainty_s, round_trip_s))
        return samples

    def expire(self, sent_before_s: float) -> int:
        """Give up the commands sent before a time; return how many there were."""
        outcome = _Outcome.UNMEASURED if self._is_beginning else _Outcome.LOST
        old: list[int] = []
        for number, command in self._outstanding.items():
            if command.sent_s >= sent_before_s:
                break
            old.append(number)
        for number in old:
            self._close(number, outcome)
        if self._is_beginning:
            self.unanswered += len(old)
        return len(old)

    def _take(self, number: int) -> _Command | None:
        if number in self._outstanding:
            command = self._outstanding[number]
            for earlier in self._before(number):
                self._close(earlier, self._outcome_of(self._outstanding[earlier], command))
            self._echoes_missing = self._is_beginning = False
            self.unanswered = 0
            self._close(number, _Outcome.ECHOED)
            return command
        if number not in self._closed:
            self.foreign += 1
            return None
        command, outcome = self._closed[number]
        if outcome is _Outcome.ECHOED:
            self.doubled += 1
            return None
        self.unanswered = 0
        self._count(outcome, -1)  # its echo came late
        self._count(_Outcome.ECHOED, 1)
        self._closed[number] = command, _Outcome.ECHOED
        return command

    def _outcome_of(self, earlier: _Command, echoed: _Command) -> _Outcome:
        """Tell what became of a command without an echo, of which a later one has one."""
        if self._is_beginning:
            return _Outcome.UNMEASURED
        arrived = earlier.connection == echoed.connection and not self._echoes_missing
        return _Outcome.SUPERSEDED if arrived else _Outcome.LOST

    def _before(self, number: int) -> list[int]:
        earlier: list[int] = []
        for other in self._outstanding:
            if other == number:
                break
            earlier.append(other)
        return earlier

    def _close(self, number: int, outcome: _Outcome) -> None:
        self._closed.pop(number, None)
        self._closed[number] = self._outstanding.pop(number), outcome
        if len(self._closed) > _MAX_CLOSED:
            self._closed.popitem(last=False)
        self._count(outcome, 1)

    def _count(self, outcome: _Outcome, n: int) -> None:
        if outcome is _Outcome.ECHOED:
            self.echoed += n
        elif outcome is _Outcome.SUPERSEDED:
            self.superseded += n
        elif outcome is _Outcome.LOST:
            self.lost += n
        else:
            self.unmeasured += n

    def status(self) -> dict[str, Any]:
        """Describe it as STATUS does; the delays are those of the latest 10 000 commands."""
        return {
            "sent": self.sent,
            "echoed": self.echoed,
            "superseded": self.superseded,
            "lost": self.lost,
            "unmeasured": self.unmeasured,
            "doubled": self.doubled,
            "foreign": self.foreign,
            "outstanding": self.outstanding,
            "one_way_s": summarize(self._one_way_s),
            "round_trip_s": summarize(self._round_trip_s),
        }


def summarize(delays_s: Sequence[float] | deque[float]) -> dict[str, float] | None:
    """Give p50, p99 and the maximum of some delays; ``None`` without any."""
    if not delays_s:
        return None
    p50, p99, longest = np.percentile(np.array(delays_s), [50, 99, 100])
    return {"p50": round(float(p50), 6), "p99": round(float(p99), 6), "max": round(longest, 6)}
