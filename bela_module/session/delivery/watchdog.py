"""Causes of missing data and their messages, from replies to ``list`` and arrivals. Pure.

A connection can be alive and yet bring no data, each cause with another cure: the ticks stand
still (the sketch is paused or its ``tick`` is not called), somebody else ended the watch, the
sketch no longer assigns the variable, or the board sends nothing at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bela_module.session.delivery.time_limits import (
    ASK_AGAIN_S,
    LOOK_STALL_S,
    NO_DATA_S,
    RECONNECT_IF_DEAF_S,
    TICKS_STAND_STILL_S,
    VALUE_OVERDUE_S,
    WATCH_IGNORED_S,
)
from bela_module.validation import named

_UNWATCHED_PROBES: Final = 3
_TRIES: Final = 2


class Cause(StrEnum):
    """What is wrong."""

    STANDSTILL = "the board answers, but its ticks stand still: is the sketch paused?"
    UNWATCHED = "another client ended the watch; watched again"
    UNMONITORED = "another client ended the monitor; monitored again"
    IGNORED = "the watch had no effect; watched again"
    UNASSIGNED = "asked for, but nothing comes: still assigned by the sketch?"
    VANISHED = "not on the board any more"
    RETYPED = "of another type on the board now: STOP and START to stream again"
    SILENT = "the board sends no data at all, though it answers; asked for again"
    DEAF = "no data comes, though the values change; connecting again"
    UNANSWERED = "the board sends data, but does not answer"
    UNEVEN = (
        "assigned unevenly, while its blocks carry one tick each: its times are estimates; "
        "declare it with kTimestampSample in the sketch"
    )
    PAUSES = (
        "not assigned all the time, while its blocks carry one tick each: what was assigned around "
        "a pause is withheld; declare it with kTimestampSample in the sketch"
    )
    QUIET = "nothing has come from the board for a second"


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnosis.

    Parameters
    ----------
    cause : Cause
        What is wrong.
    names : tuple of str
        Variables that it concerns; none when it is the whole board.
    """

    cause: Cause
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in words for people."""
        if not self.names:
            return self.cause.value
        return f"{named(self.names, 8)}: {self.cause.value}"


@dataclass(frozen=True, slots=True)
class Expected:
    """A variable of which something should come, as the board's last reply describes it.

    Parameters
    ----------
    name : str
        The variable.
    on : bool
        Whether the board says that it is watched, or monitored.
    block_s : float or None
        How long it takes until the next block, or value of a monitor; ``None`` when it may
        rightly be silent, as a sparse variable may. Infinite when nobody knows.
    input_value : float
        What the sketch last assigned: when it changes, the sketch assigns it.
    monitored : bool
        Whether it is monitored and not watched.
    singly : bool
        Whether each value comes at once, beside the watch.
    asked_s : float
        Since when it does.
    """

    name: str
    on: bool
    block_s: float | None
    input_value: float = math.nan
    monitored: bool = False
    singly: bool = False
    asked_s: float = -math.inf


@dataclass(slots=True)
class _Watch:
    since_s: float
    tries: int = 1
    seen: bool = False
    missing: int = 0
    value: float = math.nan
    noted_s: float = -math.inf
    changed_s: float = -math.inf
    """The sketch has certainly assigned it after this time."""
    varies: bool = False
    overdue_s: float = math.inf
    """Since when a value is known that should have come."""

    def note_value(self, value: float, now_s: float) -> None:
        """Learn what the sketch last assigned; NaN says nothing."""
        if value != self.value and not math.isnan(value + self.value):
            self.changed_s, self.varies = self.noted_s, True
        self.value, self.noted_s = value, now_s

    def is_overdue(self, due_s: float, now_s: float) -> bool:
        """Tell whether the sketch has assigned it after a time, and nothing came for a while."""
        self.overdue_s = min(self.overdue_s, now_s) if self.changed_s > due_s else math.inf
        return now_s >= self.overdue_s + VALUE_OVERDUE_S


@dataclass(slots=True)
class Watchdog:
    """Looks at each reply to ``list`` while something is to stream.

    Tell it what was asked for with :meth:`asked`, then call :meth:`look` after each reply.

    Attributes
    ----------
    to_ask_again : list of str
        What the last look says should be asked of the board again.
    """

    to_ask_again: list[str] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)
    _watches: dict[str, _Watch] = field(default_factory=dict)
    _tick: int = -1
    _tick_since_s: float = 0.0
    _looked_s: float = 0.0
    _reconnect_after_s: float = RECONNECT_IF_DEAF_S

    def asked(self, names: Iterable[str], now_s: float, *, again: bool = False) -> None:
        """Learn that some variables are to stream from now on.

        Parameters
        ----------
        names : iterable of str
            The variables.
        now_s : float
            The present time.
        again : bool
            Whether it was asked again because nothing came, and not for the first time on a
            connection.
        """
        if not again:
            self._findings = []
        for name in names:
            before = self._watches.get(name)
            in_vain = again and before is not None and not before.seen
            self._watches[name] = _Watch(
                now_s,
                before.tries + 1 if before and in_vain else 1,
                varies=before is not None and before.varies,
            )

    def changed_after(self, name: str, time_s: float) -> bool:
        """Tell whether the sketch has certainly assigned a variable after a time."""
        watch = self._watches.get(name)
        return watch is not None and watch.changed_s > time_s

    @property
    def unassigned(self) -> set[str]:
        """Variables of which nothing shows that the sketch has assigned them since they began."""
        return {
            name
            for name, watch in self._watches.items()
            if not (watch.seen or watch.varies or math.isnan(watch.value))
        }

    def look(
        self,
        expected: Iterable[Expected],
        tick: int,
        now_s: float,
        last_block_s: Mapping[str, float],
        heard_s: float = -math.inf,
    ) -> list[Finding]:
        """Look for what is wrong.

        Parameters
        ----------
        expected : iterable of Expected
            Of what something should come by now.
        tick : int
            The last reply's tick.
        now_s : float
            The present time.
        last_block_s : mapping of str to float
            When the last message of each variable arrived, if any did.
        heard_s : float
            When the last one of whatever variable did on this connection.

        Returns
        -------
        list of Finding
            Nothing when all is well.
        """
        self.to_ask_again.clear()
        if now_s - self._looked_s > LOOK_STALL_S:
            self._restart_timers(now_s)
        self._looked_s = now_s
        if tick != self._tick:
            if now_s - self._tick_since_s > TICKS_STAND_STILL_S:
                self._restart_timers(now_s)
            self._tick, self._tick_since_s = tick, now_s
        else:  # nothing can come before the next tick
            if now_s - self._tick_since_s > TICKS_STAND_STILL_S:
                self._findings = [Finding(Cause.STANDSTILL)]
            return self._findings
        found: dict[Cause, list[str]] = {
            cause: [] for cause in (Cause.UNWATCHED, Cause.UNMONITORED, Cause.IGNORED)
        }
        silent: list[str] = []
        fine, proved, assigned, stopped = 0, False, False, True
        last_s = -math.inf
        for each in expected:
            watch = self._watches.get(each.name)
            if watch is None:
                continue
            watch.note_value(each.input_value, now_s)
            if not each.singly:  # single values say nothing of the watch beside them
                watch.seen = watch.seen or last_block_s.get(each.name, -math.inf) > watch.since_s
            if not each.on:
                cause = self._why_off(each, watch, now_s)
                if cause is Cause.UNASSIGNED:
                    silent.append(each.name)
                elif cause is not None:
                    found[cause].append(each.name)
                continue
            watch.seen, watch.missing = True, 0
            if each.block_s is None:
                continue
            unknown = each.block_s == math.inf
            block_s = 0.0 if unknown else each.block_s
            since_s = max(last_block_s.get(each.name, -math.inf), watch.since_s)
            if unknown:
                since_s = max(since_s, each.asked_s)
            # What was assigned soon after a block may wait for more, to fill the next one.
            overdue = watch.is_overdue(since_s + block_s, now_s)
            if unknown and not (overdue and (each.singly or heard_s == -math.inf)):
                continue  # only its value tells when something should have come
            last_s = max(last_s, since_s)
            if now_s - since_s <= NO_DATA_S + 2 * block_s:
                fine += 1
                proved = proved or since_s > watch.since_s
                continue
            silent.append(each.name)
            assigned = assigned or overdue
            stopped = stopped and watch.varies
        findings = [Finding(cause, tuple(names)) for cause, names in found.items() if names]
        if proved:
            self._reconnect_after_s = RECONNECT_IF_DEAF_S
        if silent:
            others_too = fine == 0 and not found[Cause.IGNORED] and now_s - heard_s > NO_DATA_S
            # What has varied and does not any more is not assigned; of what never did, who knows?
            nothing = others_too and (assigned or (len(silent) > 1 and not stopped))
            findings.append(self._why_silent(silent, now_s - last_s, nothing, assigned))
        self._findings = findings
        return findings

    def _why_off(self, each: Expected, watch: _Watch, now_s: float) -> Cause | None:
        """Say why the board does not call a variable watched or monitored, if it should."""
        watch.missing += 1
        if each.monitored or watch.seen:
            if watch.missing < _UNWATCHED_PROBES:
                return None
            self.to_ask_again.append(each.name)
            return Cause.UNMONITORED if each.monitored else Cause.UNWATCHED
        # What is not assigned does not show as watched, and may never be assigned at all.
        never_assigned = not watch.varies and not math.isnan(watch.value)
        # A sparse variable shows as watched only from its next value on, whenever that is.
        waited_s = now_s - watch.since_s
        if each.block_s is None or (watch.tries == 1 and waited_s <= WATCH_IGNORED_S):
            return None
        if waited_s > (WATCH_IGNORED_S if watch.tries < _TRIES else ASK_AGAIN_S):
            self.to_ask_again.append(each.name)
        if never_assigned:
            return None
        # What does not begin when it is asked for once more is not assigned.
        asked_twice = watch.tries > _TRIES or (watch.tries == _TRIES and waited_s > WATCH_IGNORED_S)
        return Cause.UNASSIGNED if asked_twice else Cause.IGNORED

    def _why_silent(
        self, names: list[str], silent_s: float, nothing: bool, assigned: bool
    ) -> Finding:
        """Say why nothing comes of some variables; of none at all, when so told."""
        if not nothing:
            return Finding(Cause.UNASSIGNED, tuple(names))
        if assigned and silent_s > self._reconnect_after_s + NO_DATA_S:
            self._reconnect_after_s *= 2.0  # if that does not help either, then ever more rarely
            return Finding(Cause.DEAF)
        return Finding(Cause.SILENT)

    def _restart_timers(self, now_s: float) -> None:
        """Wait from now on: what was due meanwhile may still be on its way."""
        self._tick_since_s = now_s
        for watch in self._watches.values():
            watch.since_s, watch.missing = now_s, 0
