"""Why nothing comes: from what the board says and what arrives to a diagnosis in words. Pure.

A connection can be alive and yet bring no data, each cause with another cure: the ticks stand
still (the sketch is paused or its ``tick`` is not called), somebody else ended the watch, the
sketch no longer assigns the variable, or the board sends nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bela_module.protocol import Variable

_STANDSTILL_S: Final = 1.5
_SILENCE_S: Final = 1.5
_UNWATCHED_PROBES: Final = 3
_IGNORED_WATCH_S: Final = 2.0
_TRIES: Final = 2
_STALL_S: Final = 1.0  # without a look: this process, or the network, stood still


class Cause(StrEnum):
    """What is wrong."""

    STANDSTILL = "the board answers, but its ticks stand still: is the sketch paused?"
    UNWATCHED = "another client ended the watch; it is watched again"
    IGNORED = "the watch had no effect; it is watched again"
    UNASSIGNED = "watched, but nothing comes: does the sketch still assign it?"
    VANISHED = "the board no longer has it"
    RETYPED = "the board has it with another type now: STOP and START to stream it"
    SILENT = "the board sends no data at all, though it answers; it is asked again"


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
        shown = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
        return f"{shown}: {self.cause.value}"


@dataclass(slots=True)
class _Watch:
    since_s: float
    tries: int = 1
    seen: bool = False
    missing: int = 0


@dataclass(slots=True)
class Watchdog:
    """Looks at each reply to ``list`` while variables are watched.

    Tell it what was watched with :meth:`watched`, then call :meth:`look` after each reply.
    """

    _watches: dict[str, _Watch] = field(default_factory=dict)
    _tick: int = -1
    _tick_since_s: float = 0.0
    _looked_s: float = 0.0

    def watched(self, names: Iterable[str], now_s: float) -> None:
        """Learn that some variables are to stream from now on."""
        for name in names:
            before = self._watches.get(name)
            again = before is not None and not before.seen
            self._watches[name] = _Watch(now_s, before.tries + 1 if before and again else 1)

    def look(
        self,
        variables: Iterable[Variable],
        tick: int,
        now_s: float,
        last_block_s: Mapping[str, float],
        block_s: Mapping[str, float],
    ) -> list[Finding]:
        """Look for what is wrong.

        Parameters
        ----------
        variables : iterable of Variable
            The watched variables as the last reply describes them.
        tick : int
            Its tick.
        now_s : float
            The present time.
        last_block_s : mapping of str to float
            When the last block of each variable arrived, if any did.
        block_s : mapping of str to float
            How long a block of each dense variable takes to fill; sparse ones are not in it,
            since they may rightly be silent.

        Returns
        -------
        list of Finding
            Nothing when all is well.
        """
        if now_s - self._looked_s > _STALL_S:
            self._forgive(now_s)
        self._looked_s = now_s
        if tick != self._tick:
            if now_s - self._tick_since_s > _STANDSTILL_S:
                self._forgive(now_s)
            self._tick, self._tick_since_s = tick, now_s
        elif now_s - self._tick_since_s > _STANDSTILL_S:
            return [Finding(Cause.STANDSTILL)]
        unwatched: list[str] = []
        ignored: list[str] = []
        silent: list[str] = []
        fine = 0
        for variable in variables:
            watch = self._watches.get(variable.name)
            if watch is None:
                continue
            if not variable.watched:
                watch.missing += 1
                if watch.seen and watch.missing >= _UNWATCHED_PROBES:
                    unwatched.append(variable.name)
                elif not watch.seen and self._was_ignored(variable, watch, now_s):
                    # Watching it once more is enough: what then does not begin is not assigned.
                    (ignored if watch.tries < _TRIES else silent).append(variable.name)
                continue
            watch.seen, watch.missing = True, 0
            if variable.name in block_s:
                heard_s = max(last_block_s.get(variable.name, 0.0), watch.since_s)
                if now_s - heard_s > _SILENCE_S + 2 * block_s[variable.name]:
                    silent.append(variable.name)
                else:
                    fine += 1
        findings = [
            Finding(cause, tuple(names))
            for cause, names in ((Cause.UNWATCHED, unwatched), (Cause.IGNORED, ignored))
            if names
        ]
        if silent:
            everything = fine == 0 and len(silent) > 1 and not ignored
            findings.append(
                Finding(Cause.SILENT) if everything else Finding(Cause.UNASSIGNED, tuple(silent))
            )
        return findings

    def _forgive(self, now_s: float) -> None:
        """Wait from now on: what was due meanwhile may still be on its way."""
        self._tick_since_s = now_s
        for watch in self._watches.values():
            watch.since_s, watch.missing = now_s, 0

    @staticmethod
    def _was_ignored(variable: Variable, watch: _Watch, now_s: float) -> bool:
        # A sparse variable shows as watched only from its next value on, whenever that is.
        return not variable.sparse and now_s - watch.since_s > _IGNORED_WATCH_S
