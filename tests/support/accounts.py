"""How many values a session has to account for: what the board knows, not what the session says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tests.support.fault_cases import check_values
from tests.support.observed_board import Command, ObservedBoard
from tests.support.session_helpers import Recorder

BLOCK_VALUES = 512
ROUNDING_S = 1e-4
N_UNSURE_LISTS = 1  # nobody can tell whether the reply to the last one has arrived

REPLY_LAG_S = 0.02
"""The simulated board looks at its clock when it wakes up, which a busy machine delays."""


def stated_s(sink: Recorder) -> float:
    """Tell how far off a stamp may be: nowhere further than was stated on the way."""
    return max(u for u in sink.uncertainties_s if math.isfinite(u)) + ROUNDING_S


@dataclass(frozen=True)
class Window:
    """What was answered to a SCHEDULE: its first and its last tick, both part of it."""

    first_tick: int
    last_tick: int

    @classmethod
    def of_answer(cls, answer: str) -> Window:
        """Read it from *scheduled from tick 1 to 2*."""
        words = answer.split()
        assert words[:3] == ["scheduled", "from", "tick"], answer
        return cls(int(words[3]), int(words[5]))


@dataclass(frozen=True)
class Truth:
    """How many values the sketch took between the start and the end of a stream.

    Parameters
    ----------
    at_least, at_most : int
        They differ where nobody has been told how far the board had come, as at a restart.
    """

    at_least: int
    at_most: int

    @property
    def exact(self) -> bool:
        return self.at_least == self.at_most

    def __add__(self, other: Truth) -> Truth:
        return Truth(self.at_least + other.at_least, self.at_most + other.at_most)


@dataclass(frozen=True)
class Account:
    """What a session says that it has done, and what it should have done."""

    stream: str
    delivered: int
    lost: int
    truth: Truth

    def check(self) -> None:
        """Check that delivered + counted lost = taken by the sketch."""
        total = self.delivered + self.lost
        assert self.truth.at_least <= total <= self.truth.at_most, (
            f"{self}: {total - self.truth.at_least} above the least, "
            f"{total - self.truth.at_most} above the most"
        )


@dataclass(frozen=True)
class Ledger:
    """The truth about one START, or SCHEDULE, of a session that has ended.

    Parameters
    ----------
    board : ObservedBoard
        Who knows it.
    sink : Recorder
        The sink of the session, which was told when it started.
    since_s : float
        When it was asked for.
    window : Window, optional
        What was answered to SCHEDULE.
    cut_off : bool
        Whether it was stopped without the board.
    others : frozenset of int
        Ports of connections that are not the session's.
    n_unsure : int
        How many of the last replies to ``list`` may not have reached the session.
    assigns : bool
        Whether the sketch took a value at every tick, as far as anybody can tell.
    lasted : bool
        Whether the connection lasted. Of a variable that is not assigned all the time, which shows,
        nobody can tell whether it was while there was none.
    n_cut : int or None
        How many blocks may have been cut, where ticks were left out: the variable may be taken for
        one that pauses, of which only whole blocks are missing for certain. ``None``: none were.
    """

    board: ObservedBoard
    sink: Recorder
    since_s: float = 0.0
    window: Window | None = None
    cut_off: bool = False
    others: frozenset[int] = frozenset()
    n_unsure: int = N_UNSURE_LISTS
    assigns: bool = True
    lasted: bool = True
    n_cut: int | None = None

    def accounts(self, streams: dict[str, Any], **limits: Any) -> list[Account]:
        """Compare what a session's STATUS says of its streams with the truth.

        Parameters
        ----------
        streams : dict
            The streams of its STATUS.
        **limits
            For :func:`check_values`, which is asked about all that was delivered.
        """
        accounts = []
        for name, status in streams.items():
            counts = check_values(self.board, self.sink, name, **limits)
            truth = sum((self.truth_of(v) for v in status["variables"]), Truth(0, 0))
            accounts.append(Account(name, sum(counts.values()), status["lost"], truth))
        return accounts

    def truth_of(self, name: str) -> Truth:
        """Count what the sketch took of a variable."""
        begin = self._begin(name)
        if begin is None:
            return Truth(0, self.board.tick_now())
        end = self._end(name, begin)
        last_boot = self.board.restarts if end is None else end.boot
        if self.window is not None:
            last_boot = begin.boot  # a restart ends a schedule
        total = Truth(0, 0)
        for boot in range(begin.boot, last_boot + 1):
            firsts = self._first_ticks(name, begin, boot)
            lasts = self._last_ticks(name, end, boot)
            at_least = max(0, lasts[0] - firsts[0] + 1)
            if self.cut_off and boot > begin.boot:
                at_least = 0  # it may not have begun to stream again
            total += Truth(at_least, max(0, lasts[1] - firsts[1] + 1))
        if not (self.assigns or self.lasted):
            return Truth(0, total.at_most)
        if self.n_cut is not None:
            certain = max(0, self.written(name) - self.n_cut * BLOCK_VALUES)
            return Truth(min(certain, total.at_least), total.at_most)
        if self.assigns:
            return total
        # The last block has values on both sides of a hole that does not show in it.
        return Truth(max(0, self.written(name) - BLOCK_VALUES), total.at_most)

    def was_late(self, name: str) -> bool:
        """Tell whether a command came so late that the board began or ended after that tick."""
        begin = self._begin(name)
        end = self._end(name, begin) if begin is not None else None
        both = [command for command in (begin, end) if command is not None]
        return not both or any(c.tick >= (c.timestamp_of(name) or 0) for c in both)

    def was_given_up(self, name: str) -> bool:
        """Tell whether the board was told to end at once, for it had not ended by that tick."""
        begin = self._begin(name)
        end = self._end(name, begin) if begin is not None else None
        return end is not None and self._given_up_tick(name, end) is not None

    def written(self, name: str) -> int:
        """Count what the board wrote between the ticks that the session asked for."""
        begin = self._begin(name)
        end = self._end(name, begin) if begin is not None else None
        first_tick = begin.timestamp_of(name) if begin is not None else None
        last_tick = end.timestamp_of(name) if end is not None else None
        if self.window is not None:
            last_tick = self.window.last_tick
        if first_tick is None or last_tick is None:
            return 0
        return sum(
            max(0, min(run.last_tick, last_tick) - max(run.first_tick, first_tick) + 1)
            for run in self.board.written(name)
        )

    # ---- what was asked ------------------------------------------------------------------

    def _ours(self, cmd: str, name: str = "") -> list[Command]:
        return [
            command
            for command in self.board.commands
            if command.cmd == cmd
            and command.lsl_s >= self.since_s
            and command.port not in self.others
            and (not name or command.timestamp_of(name) is not None)
        ]

    def _begin(self, name: str) -> Command | None:
        """Find the command with which a variable began; those of a START in vain do not count."""
        watches = self._ours("watch", name)
        if self.window is not None:
            first_tick = self.window.first_tick
            there = [w for w in watches if w.timestamp_of(name) == first_tick]
        else:
            marks = [at_s for text, at_s in self.sink.marks if text == "started"]
            started_s = next((at_s for at_s in marks if at_s >= self.since_s), 0.0)
            there = [w for w in watches if w.lsl_s <= started_s]
        return there[-1] if there else None

    def _end(self, name: str, begin: Command) -> Command | None:
        ends = [u for u in self._ours("unwatch", name) if u.lsl_s > begin.lsl_s]
        return ends[0] if ends else None

    def _given_up_tick(self, name: str, end: Command) -> int | None:
        """Give how far the board was when it was told to end at once what it did not end by then.

        Somebody else had ended the watch before, or the ticks stand still.
        """
        at_once = [
            command.lsl_s
            for command in self._ours("unwatch")
            if name in command.names and not command.timestamps and command.port == end.port
        ]
        later = [s for s in at_once if s > end.lsl_s]
        replies = [c for c in self._ours("list") if c.port == end.port]
        ticks = [c.tick for c in replies if later and c.lsl_s > later[0]]
        return ticks[0] if len(ticks) > 1 else None  # the next one tells that it was answered

    # ---- from where to where ---------------------------------------------------------------

    def _first_ticks(self, name: str, begin: Command, boot: int) -> tuple[int, int]:
        """Give the latest and the earliest tick from which values of a boot have to count."""
        if boot > begin.boot:
            # From the first reply that tells of the restart; that one is asked for twice.
            lists = self._asked_lists(boot)
            latest = lists[self.n_unsure] if len(lists) > self.n_unsure else self._boot_end(boot)
            return latest + 1, self.board.clocks[boot].first_tick
        first_tick = begin.timestamp_of(name)
        assert first_tick is not None
        if begin.tick < first_tick:
            return first_tick, first_tick
        # It came too late: the board began when it had read it, and what came of it tells when.
        excused = sum(loss.n_values for loss in self.board.block_losses if loss.variable == name)
        begun = begin.tick + 2 * self.board.sketch.burst_ticks
        if boot == self.board.restarts:
            firsts = (run.first_tick for run in self.board.written(name))
            begun = max(begun, next((tick for tick in firsts if tick >= first_tick), begun))
        return begun + excused, first_tick

    def _last_ticks(self, name: str, end: Command | None, boot: int) -> tuple[int, int]:
        """Give the earliest and the latest tick up to which values of a boot have to count."""
        earliest, latest = self._told_ticks(name, end, boot)
        if self.window is None:
            return earliest, latest
        last_tick = self.window.last_tick
        if latest >= last_tick and not (self.cut_off or end is not None):
            earliest = last_tick  # it came to its end by itself
        return min(earliest, last_tick), min(latest, last_tick)

    def _asked_lists(self, boot: int) -> list[int]:
        """Give the ticks of our requests for the list; one message may ask several times."""
        ticks = (command.tick for command in self._ours("list") if command.boot == boot)
        return list(dict.fromkeys(ticks))

    def _told_ticks(self, name: str, end: Command | None, boot: int) -> tuple[int, int]:
        boot_end = self._boot_end(boot)
        lists = self._asked_lists(boot)
        sure = lists[: -self.n_unsure]
        known = min(boot_end, sure[-1] - self.reply_lag_ticks if sure else -1)
        asked = end.timestamp_of(name) if end is not None and end.boot == boot else None
        if end is None or asked is None:
            return known, boot_end
        if asked <= end.tick:
            # Too late: the board ended when it had it, and what has come by then is taken.
            return asked, end.tick + self.board.sketch.burst_ticks
        if boot < self.board.restarts or self.cut_off:
            # Lost before the end was confirmed: it is not told whether the board got that far.
            return min(known, asked), min(boot_end, asked)
        given_up = self._given_up_tick(name, end)
        return asked if given_up is None else min(asked, given_up - self.reply_lag_ticks), asked

    @property
    def reply_lag_ticks(self) -> int:
        """How far the tick of a reply may be behind the one at which its request was noted."""
        return round(REPLY_LAG_S * self.board.sketch.tick_rate_hz)

    def _boot_end(self, boot: int) -> int:
        return self.board.last_ticks[boot] if boot < self.board.restarts else self.board.tick_now()
